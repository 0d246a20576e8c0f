"""Chat dialects by name. A new one is one file and one line here."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, cast

from mcp_llm.wires.named import dialect

if TYPE_CHECKING:
    from mcp_llm.wires.base import ChatWire

WIRES: Final = ("anthropic", "gemini", "ollama", "openai", "responses")


@cache
def wire(name: str) -> ChatWire:
    """The module of a dialect, imported when first asked for; KeyError for a name that is none."""
    return cast("ChatWire", dialect(__name__, name, WIRES))
