"""References of a JSON Schema: resolved inside the document, inlined or gathered in `$defs`; nothing is ever fetched.

Nesting and size are capped, both of what comes in and of what the references expand to. No validator: nonsense passes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from mcp_llm.errors import InvalidInput

from .keywords import ANNOTATIONS, DEFINITIONS, LISTS, MAPS, SINGLE, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 64
"""Levels of JSON nesting."""
MAX_SIZE: Final = 256 * 1024
"""Characters, as compact JSON, of the schema and of what its references expand to."""


@dataclass(slots=True)
class _Budget:
    """Counts the size of what is built, so that references to references cannot blow it up."""

    size: int = 0

    def spend(self, amount: int, depth: int) -> None:
        self.size += amount
        if self.size > MAX_SIZE:
            raise InvalidInput(
                f"The JSON Schema is larger than {MAX_SIZE // 1024} KiB with its references written out; simplify it."
            )
        if depth > MAX_DEPTH:
            raise InvalidInput(f"The JSON Schema is nested deeper than {MAX_DEPTH} levels; flatten it.")

    def measure(self, value: Any, depth: int) -> None:
        """Spend what a JSON value weighs, without recursion; a value that contains itself ends at the depth cap."""
        stack = [(value, depth)]
        while stack:
            item, level = stack.pop()
            if isinstance(item, dict):
                self.spend(2 + sum(len(key) + 4 for key in item), level)
                stack.extend((child, level + 1) for child in item.values())
            elif isinstance(item, list | tuple):
                self.spend(2 + len(item), level)
                stack.extend((child, level + 1) for child in item)
            else:
                self.spend(len(item) + 2 if isinstance(item, str) else 4, level)


def normal(schema: Schema, *, keep: bool) -> Schema:
    """References inlined, or (`keep`, and where recursive) pointing at `#/$defs/<name>` only."""
    _Budget().measure(schema, 1)
    names = _names(schema, keep=keep)
    budget = _Budget()

    def expand(node: Any, depth: int, *, force: bool = False) -> Any:
        if not isinstance(node, dict):
            return node
        own = {key: value for key, value in node.items() if key not in DEFINITIONS and key != "$ref"}
        budget.spend(2 + sum(len(key) + 4 for key in own), depth)
        out: Schema = {}
        for key, value in own.items():
            if key in MAPS and isinstance(value, dict):
                budget.spend(sum(len(name) + 4 for name in value), depth + 1)
                out[key] = {name: expand(child, depth + 2) for name, child in value.items()}
            elif key in LISTS and isinstance(value, list):
                out[key] = [expand(child, depth + 2) for child in value]
            elif key in SINGLE and isinstance(value, dict):
                out[key] = expand(value, depth + 1)
            else:
                budget.measure(value, depth + 1)
                out[key] = value
        ref = _ref(node)
        if ref is None:
            return out
        if ref in names and not force:
            return {"$ref": names[ref], **out}
        target = expand(_resolve(schema, ref), depth + 1, force=force)
        return _join(target, out)

    root = expand(schema, 1, force=True)
    if not isinstance(root, dict):
        raise InvalidInput("The root of a JSON Schema must be an object, not a reference to true or false.")
    definitions = {
        name.removeprefix("#/$defs/"): expand(_resolve(schema, ref), 3) for ref, name in names.items() if name != "#"
    }
    return {**root, "$defs": definitions} if definitions else root


def _names(schema: Schema, *, keep: bool) -> dict[str, str]:
    """The references that stay, and what they become: all, or those that close a cycle (every cycle has one)."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    numbers: dict[str, int] = {}

    def name(ref: str) -> None:
        if ref in names:
            return
        if ref == "#":
            names[ref] = "#"
            return
        word = re.sub(r"[^A-Za-z0-9_.-]", "_", ref.rpartition("/")[2]) or "definition"
        unique, number = word, numbers.get(word, 1)
        while unique in taken:
            number += 1
            unique = f"{word}_{number}"
        taken.add(unique)
        numbers[word] = number
        names[ref] = f"#/$defs/{unique}"

    is_open = {"#": True}
    stack = [("#", _refs(schema))]
    while stack:
        pointer, refs = stack[-1]
        for ref in refs:
            if keep or is_open.get(ref):
                name(ref)
            if ref not in is_open:
                is_open[ref] = True
                stack.append((ref, _refs(_resolve(schema, ref))))
                break
        else:
            is_open[pointer] = False
            stack.pop()
    return names


def _refs(schema: Any) -> Iterator[str]:
    """Every reference in a subschema, definitions left out: they count where they are pointed at."""
    stack = [schema]
    while stack:
        node = stack.pop()
        if not isinstance(node, dict):
            continue
        ref = _ref(node)
        if ref is not None:
            yield ref
        for key, value in node.items():
            if key in DEFINITIONS:
                continue
            if key in MAPS and isinstance(value, dict):
                stack.extend(value.values())
            elif key in LISTS and isinstance(value, list):
                stack.extend(value)
            elif key in SINGLE:
                stack.append(value)


def _ref(node: Schema) -> str | None:
    if "$ref" not in node:
        return None
    ref = node["$ref"]
    if not isinstance(ref, str):
        raise InvalidInput("A $ref in the JSON Schema is not a string.")
    if not ref.startswith("#"):
        raise InvalidInput(
            f"The JSON Schema refers to {ref[:200]!r}, which is outside of it and is never fetched; put it in $defs."
        )
    return ref


def _resolve(schema: Schema, ref: str) -> Any:
    node: Any = schema
    if ref == "#":
        return node
    if not ref.startswith("#/"):
        raise InvalidInput(f"The JSON Schema's reference {ref[:200]!r} is no path; write it as #/$defs/<name>.")
    for token in unquote(ref[2:]).split("/"):
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list) and re.fullmatch(r"\d{1,6}", key) and int(key) < len(node):
            node = node[int(key)]
        else:
            raise InvalidInput(f"The JSON Schema refers to {ref[:200]!r}, which it does not contain.")
    if not isinstance(node, dict | bool):
        raise InvalidInput(f"The JSON Schema refers to {ref[:200]!r}, which is no schema.")
    return node


def _join(target: Any, siblings: Schema) -> Any:
    """What a `$ref` with neighbours means: both hold; the neighbours' words win over the target's."""
    if not siblings:
        return target
    if not isinstance(target, dict):
        return {"allOf": [target, siblings]} if set(siblings) - ANNOTATIONS else target
    clash = [key for key in siblings if key in target and key not in ANNOTATIONS and target[key] != siblings[key]]
    return {"allOf": [target, siblings]} if clash else {**target, **siblings}
