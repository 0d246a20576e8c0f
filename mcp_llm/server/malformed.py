"""Lines that are no message: mended where only a surrogate is wrong, else answered, so that no client waits."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from mcp_llm.types.text import unbroken

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
_ID: Final = re.compile(rb'"id"\s*:\s*(-?\d{1,18}|"(?:[^"\\]|\\.){0,200}")')


def mended(line: bytes) -> bytes | None:
    """The line with lone surrogates replaced, which only the protocol's parser minds; None if more is wrong with it."""
    try:
        value = json.loads(line)
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return unbroken(text).encode() if b"\\ud" in line.lower() else None


def answer(line: bytes) -> bytes | None:
    """The JSON-RPC error that a line deserves, with its id if one can be seen; None for what asks for nothing."""
    identifier: Any = None
    code, words = PARSE_ERROR, "the line is no JSON, too long or nested too deep"
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        identifier = _seen(line)
    else:
        code, words = INVALID_REQUEST, "the line is JSON but no JSON-RPC message, or nested too deep"
        if isinstance(value, dict):
            given = value.get("id")
            identifier = given if isinstance(given, int | str) and not isinstance(given, bool) else None
            if identifier is None and "method" in value:
                return None  # a notification wants no answer
    error = {"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": words}}
    return json.dumps(error, ensure_ascii=True).encode() + b"\n"


def _seen(line: bytes) -> Any:
    """The id in what is no JSON; None where there is none, or it is broken itself: `007`, a raw line break."""
    found = _ID.search(line[:4096]) or _ID.search(line[-4096:])
    try:
        return json.loads(found[1]) if found else None
    except ValueError:
        return None
