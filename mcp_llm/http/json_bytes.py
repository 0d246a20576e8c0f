"""The JSON of a request's body as bytes: UTF-8, and nothing that no other JSON reader would take."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from mcp_llm.errors import InvalidInput
from mcp_llm.types.text import unbroken


def encode(value: dict[str, Any]) -> bytes:
    """JSON as UTF-8. Lone surrogates become U+FFFD; raises InvalidInput for NaN, infinities and what is no JSON."""
    try:
        data = to_json(value)
    except (PydanticSerializationError, UnicodeError, ValueError):
        data = b"NaN"
    if b"NaN" in data or b"Infinity" in data:  # perhaps only words in a text: the slow encoder can tell
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as exc:
            raise InvalidInput(f"the request is no JSON: {str(exc)[:100]}") from None
        data = unbroken(text).encode()
    return data
