"""Is a JSON Schema usable at all? Its size, its depth, its keywords, and that it points nowhere but into itself.

A schema comes from a caller or from a peer and may be a bomb, so nothing in it is fetched. Pure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mcp_llm.errors import InvalidInput, TooLarge
from mcp_llm.wires.keywords import LISTS, MAPS, SINGLE, is_names
from mcp_llm.wires.refs import MAX_DEPTH, MAX_SIZE

if TYPE_CHECKING:
    from mcp_llm.types.message import Json

_SCHEMA = SINGLE - {"additionalItems"}  # which draft 2020-12 does not have, nor lists of items
_SCHEMAS = LISTS - {"items"}
_COUNTS = {"maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties", "maxContains"} | {
    "minContains"
}
_NUMBERS = {"maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"}
_STRINGS = {
    "$id",
    "$schema",
    "$ref",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$comment",
    "pattern",
    "format",
    "title",
}
_STRINGS |= {"description", "contentEncoding", "contentMediaType"}
_TYPES = {"null", "boolean", "object", "array", "number", "string", "integer"}


def check_schema(schema: Json, what: str = "json_schema") -> None:
    """Raise InvalidInput (or TooLarge) for a schema that is too deep, too big, remote, or no JSON Schema at all.

    `what` is what the messages call it.
    """
    _check_size(schema, what)
    todo: list[tuple[Any, str]] = [(schema, "#")]
    while todo:
        node, path = todo.pop()
        if isinstance(node, bool):
            continue
        if not isinstance(node, dict):
            raise InvalidInput(f"{what} is wrong at {path}: a schema is an object, true or false.")
        for key, value in node.items():
            here = f"{path}/{key}"[:200]
            if fault := _fault(key, value, schema):
                raise InvalidInput(f"{what} is wrong at {here}: {fault}.")
            if key in _SCHEMA:
                todo.append((value, here))
            elif key in _SCHEMAS:
                todo.extend((inner, f"{here}/{index}") for index, inner in enumerate(value))
            elif key in MAPS:
                todo.extend((inner, f"{here}/{name}") for name, inner in value.items())


def _check_size(schema: Json, what: str) -> None:
    level, depth, nodes = [schema], 0, 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise TooLarge(f"{what} is nested deeper than {MAX_DEPTH} levels: make it flatter, with $defs.")
        below = [node for node in level if isinstance(node, dict | list)]
        nodes += sum(len(node) for node in below)
        if nodes > MAX_SIZE // 2:  # a value takes two bytes; one object in many places is written out as often
            raise TooLarge(f"{what} has more than {MAX_SIZE} bytes: make it smaller.")
        level = [inner for node in below for inner in (node.values() if isinstance(node, dict) else node)]
    try:
        size = len(json.dumps(schema, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError):
        raise InvalidInput(f"{what} holds what JSON cannot say: pass plain dicts, lists, strings, numbers.") from None
    if size > MAX_SIZE:
        raise TooLarge(f"{what} has {size} bytes; at most {MAX_SIZE} are taken: make it smaller.")


def _fault(key: str, value: Json, root: Json) -> str | None:
    """What is wrong with a keyword's value, None for nothing; unknown keywords are annotations."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if key in {"$ref", "$dynamicRef"} and isinstance(value, str):
        if not value.startswith("#"):
            return "a $ref may point inside the schema only (#/$defs/name); nothing is fetched"
        return None if _points(value, root) else "this $ref points at nothing"
    if key in _STRINGS and not isinstance(value, str):
        return "it has to be a string"
    if key == "$id" and not _is_address(value):
        return "it has to be a URI"
    if key in _COUNTS and not (number and value >= 0 and value == int(value)):
        return "it has to be a whole number, not negative"
    if key in _NUMBERS and not (number and (key != "multipleOf" or value > 0)):
        return "it has to be a number" + (" above 0" if key == "multipleOf" else "")
    if key in _SCHEMAS and not (isinstance(value, list) and value):
        return "it has to be a list of schemas"
    if key in MAPS and not isinstance(value, dict):
        return "it has to be an object of schemas"
    if key == "enum" and not isinstance(value, list):
        return "it has to be a list"
    if key == "required" and not is_names(value):
        return "it has to be a list of property names"
    if key == "dependentRequired" and not (isinstance(value, dict) and all(map(is_names, value.values()))):
        return "it has to be an object of lists of property names"
    if key == "uniqueItems" and not isinstance(value, bool):
        return "it has to be true or false"
    if key == "type":
        names = value if isinstance(value, list) else [value]
        if not names or not all(isinstance(name, str) and name in _TYPES for name in names):
            return f"it has to be one of {', '.join(sorted(_TYPES))}, or a list of them"
    return None


def _is_address(value: Json) -> bool:
    try:
        urlsplit(str(value))
    except ValueError:
        return False
    return True


def _points(reference: str, root: Json) -> bool:
    if reference != "#" and not reference.startswith("#/"):
        return True  # an anchor: found, or not, by the validator
    node = root
    for piece in reference[2:].split("/") if reference != "#" else ():
        name = piece.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and name.isdecimal() and len(name) < 10 and int(name) < len(node):
            node = node[int(name)]
        else:
            return "%" in piece  # percent-encoded: left to the validator
    return True
