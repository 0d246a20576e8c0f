"""A server's list of tools made safe before anything else reads it: capped, checked, its words cleaned.

Output schemas are taken out: the SDK would validate every result against them without a bound, and a pattern or an
`anyOf` of the server's choice can then stop the whole program. Pure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput
from mcp_llm.schemas.usable import check_schema

from . import text
from .variables import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_TOOLS: Final = 512
MOST_PAGES: Final = 20
MOST_SCHEMAS: Final = 2 * 1024 * 1024
"""Bytes of all input schemas of one page."""
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""The draft that every schema is in afterwards; one that says so keeps saying it."""
_MOST_NAME: Final = 256
_HINTS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_WORDS: Final = {"description", "title", "$comment"}
_SCHEMA: Final = {"not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames"}
_SCHEMAS: Final = {"allOf", "anyOf", "oneOf", "prefixItems"}
_NAMED: Final = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}


@dataclass(slots=True)
class Listing:
    """The tools that may be offered, in wire form, and what was left out, in sentences."""

    tools: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def listing(raw: list[Any]) -> Listing:
    """One page of `tools/list` without what cannot be offered."""
    found = Listing()
    names: set[str] = set()
    size = 0
    for given in raw[:MOST_TOOLS]:
        name = given.get("name") if isinstance(given, dict) else None
        shown = text.line(name, 80) if isinstance(name, str) else ""
        if not isinstance(given, dict) or not isinstance(name, str) or not shown or len(name) > _MOST_NAME:
            found.notes.append("A tool without a usable name was left out.")
            continue
        if name in names:
            found.notes.append(f"The tool {shown!r} is listed twice; the first one counts.")
            continue
        try:
            tool = _tool(name, given)
        except InvalidInput as wrong:
            found.notes.append(f"The tool {shown!r} was left out: {wrong}")
            continue
        size += len(json.dumps(tool["inputSchema"]))
        if size > MOST_SCHEMAS:
            found.notes.append(f"Tools from {shown!r} on were left out: their schemas are too big.")
            break
        names.add(name)
        found.tools.append(tool)
    if len(raw) > MOST_TOOLS:
        found.notes.append(f"{len(raw)} tools are listed; the first {MOST_TOOLS} are used.")
    return found


def _tool(name: str, given: dict[str, Any]) -> dict[str, Any]:
    schema = given.get("inputSchema")
    if not isinstance(schema, dict):
        raise InvalidInput("its schema is no object.")
    schema = {**schema, "type": schema.get("type", "object")}
    if schema["type"] != "object":
        raise InvalidInput("its schema is not that of an object.")
    if not isinstance(schema.get("properties", {}), dict):
        raise InvalidInput("its schema's properties are no object.")
    modern = _modern(schema, 0)
    check_schema(modern, "its schema")
    tool: dict[str, Any] = {"name": name, "inputSchema": _shown(modern)}
    title, description = given.get("title"), given.get("description")
    if isinstance(description, str):
        tool["description"] = text.clean(description)
    annotations = given.get("annotations")
    if isinstance(annotations, dict):
        hints: dict[str, Any] = {hint: annotations[hint] for hint in _HINTS if isinstance(annotations.get(hint), bool)}
        title = title if isinstance(title, str) else annotations.get("title")
        if hints:
            tool["annotations"] = hints
    if isinstance(title, str):
        tool["title"] = text.line(title)
    return tool


def _modern(schema: Any, depth: int) -> Any:
    """A schema of an older draft in today's words, its texts cleaned; what is no schema is left for the check."""
    if not isinstance(schema, dict) or depth > 70:
        return schema
    new: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "$schema" and value == DIALECT and depth == 0:
            new[key] = value
        elif key in {"$schema", "$id", "id"} and isinstance(value, str):
            continue
        elif key in _WORDS and isinstance(value, str):
            new[key] = text.clean(value)
        elif key == "items" and isinstance(value, list):
            new["prefixItems"] = [_modern(inner, depth + 1) for inner in value]
        elif key in {"exclusiveMinimum", "exclusiveMaximum"} and isinstance(value, bool):
            bound = "minimum" if key == "exclusiveMinimum" else "maximum"
            if value and bound in schema:
                new[key] = schema[bound]
        elif key in _SCHEMA:
            new[key] = _modern(value, depth + 1)
        elif key in _SCHEMAS and isinstance(value, list):
            new[key] = [_modern(inner, depth + 1) for inner in value]
        elif key in _NAMED and isinstance(value, dict):
            new[key] = {name: _unmirrored(name, _modern(inner, depth + 1)) for name, inner in value.items()}
        else:
            new[key] = value
    if new.get("prefixItems") == []:
        del new["prefixItems"]
    return new


def _shown(schema: dict[str, Any]) -> dict[str, Any]:
    """A checked schema, its values as a person may read them: a default or a choice is read by models as well.

    Raises InvalidInput for a name that hides something: under another one the server would not know it.
    """
    written = json.dumps(schema, ensure_ascii=False)  # in one piece: a text for each of many values takes ten times
    seen = text.visible(written)
    if seen == written:
        return schema
    names = "\n".join(_names(schema))
    if text.visible(names) != names:
        raise InvalidInput("a name in its schema has characters that nobody can see.")
    shown: dict[str, Any] = json.loads(seen)
    return shown


def _names(value: dict[str, Any] | list[Any]) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from _names(inner)


def _unmirrored(name: str, schema: Any) -> Any:
    """Without the wish that a secret be copied into an HTTP header, where proxies write it down."""
    if isinstance(schema, dict) and "x-mcp-header" in schema:
        header = schema["x-mcp-header"]
        if not isinstance(header, str) or not _HEADER.fullmatch(header):
            raise InvalidInput("its x-mcp-header is no header name.")
        if SECRET.search(name) or SECRET.search(header):
            return {key: value for key, value in schema.items() if key != "x-mcp-header"}
    return schema
