"""Arguments of tool calls on their way back into a request: an object, whatever the model wrote or was cut off at."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json


def as_object(text: str) -> dict[str, Any]:
    """The arguments as the object that most vendors want; what is none goes back as what it is, under `arguments`.

    Nothing that JSON cannot say comes out: text with NaN, half a surrogate pair or no end of brackets is words.
    """
    try:
        value = from_json(text.strip() or "{}", allow_inf_nan=False)
    except ValueError:
        value = text
    return value if isinstance(value, dict) else {"arguments": value}


def as_text(text: str) -> str:
    """The same as text, to the letter where it is an object: vendors who take text parse it all the same."""
    if not text.strip():
        return "{}"
    try:
        whole = isinstance(from_json(text, allow_inf_nan=False), dict)
    except ValueError:
        whole = False
    return text if whole else json.dumps({"arguments": text}, ensure_ascii=False)
