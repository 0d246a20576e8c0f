"""From the text a model wrote to arguments that a tool can take, or to a sentence the model can act on.

Arguments are checked against the tool's schema before anything is called, in bounded time.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import ToolFailed
from mcp_llm.schemas import validator

from .text import mended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .base import Tool

MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_ERRORS: Final = 5
_MOST_DEPTH: Final = 64


async def arguments(text: str, tool: Tool) -> dict[str, Any]:
    """The arguments of a call. Raises ToolFailed with what is wrong and what the tool takes."""
    given = parse(text)
    errors = await fits(given, tool.spec.parameters)
    if not errors:
        return given
    # Strict modes make every property required, so models write null for what they leave out.
    spared: dict[str, Any] = without_nulls(given, tool.spec.parameters)
    if spared != given and not await fits(spared, tool.spec.parameters):
        return spared
    listed = "\n".join(f"- {error}" for error in errors[:_MOST_ERRORS])
    more = f"\n(and {len(errors) - _MOST_ERRORS} more)" if len(errors) > _MOST_ERRORS else ""
    raise ToolFailed(
        f"The arguments of {tool.name} do not fit its parameters, so it was not called:\n{listed}{more}\n"
        f"{_takes(tool.spec.parameters)}Call it again with corrected arguments."
    )


async def fits(given: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """What is wrong with the arguments, a sentence each; empty when they fit as far as could be checked."""
    checked = await validator.check(given, schema, "the tool's schema")
    return checked.errors


def parse(text: str) -> dict[str, Any]:
    """The JSON object a model wrote; nothing, and null, are the empty object. Raises ToolFailed."""
    if len(text) > MOST_BYTES:
        raise ToolFailed(f"The arguments have {len(text)} characters, more than {MOST_BYTES}: send less.")
    if not text.strip():
        return {}
    try:
        value = _DECODER.decode(text)
        if isinstance(value, str) and value.lstrip().startswith("{"):
            value = _DECODER.decode(value)  # some models write the object into a string
    except json.JSONDecodeError as wrong:
        here = text[max(wrong.pos - 30, 0) : wrong.pos + 30]
        cut = " It ends too early: the answer was probably cut off." if wrong.pos >= len(text.rstrip()) else ""
        raise ToolFailed(
            f"The arguments are no valid JSON ({wrong.msg} at character {wrong.pos}, near {here!r}), so the tool was "
            f"not called.{cut} Write one JSON object."
        ) from None
    except (ValueError, RecursionError):
        raise ToolFailed(
            "The arguments hold NaN, Infinity, a number that is too long, or too many levels, which JSON has not: "
            "write one plain JSON object."
        ) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a string", bool: "true or false"}.get(type(value), "a number")
        raise ToolFailed(f"The arguments have to be one JSON object, not {kind}: write {{...}}.")
    if not shallow(value, _MOST_DEPTH):
        raise ToolFailed(f"The arguments are nested deeper than {_MOST_DEPTH} levels: make them flatter.")
    clean: dict[str, Any] = mended(value)
    return clean


def shallow(value: Any, most: int) -> bool:
    """Whether a JSON value has at most so many levels."""
    level = [value]
    for _ in range(most):
        level = [
            inner
            for node in level
            if isinstance(node, dict | list)
            for inner in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return True
    return not any(isinstance(node, dict | list) for node in level)


def without_nulls(value: Any, schema: Any) -> Any:
    """The arguments without the nulls of optional properties."""
    if isinstance(value, dict) and isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        required = schema.get("required")
        needed = required if isinstance(required, list) else []
        inner = schema["properties"]
        return {
            name: without_nulls(item, inner.get(name))
            for name, item in value.items()
            if item is not None or name in needed
        }
    if isinstance(value, list) and isinstance(schema, dict) and isinstance(schema.get("items"), dict):
        return [without_nulls(item, schema["items"]) for item in value]
    return value


def _takes(schema: Mapping[str, Any]) -> str:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        return ""
    required = schema.get("required") or []
    names = [f"{name} (required)" if name in required else str(name) for name in list(properties)[:30]]
    return f"It takes: {', '.join(names)}. "


def _refuse(name: str) -> None:
    raise ValueError(name)


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):  # 1e999 is a number in JSON, and none that can be written again
        raise ValueError(digits[:20])
    return value


_DECODER: Final = json.JSONDecoder(strict=False, parse_constant=_refuse, parse_float=_finite)
