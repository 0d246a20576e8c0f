"""Dialects of vendors' batch APIs, by name: many chat requests at half price, answered within a day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from mcp_llm.wires.named import dialect

if TYPE_CHECKING:
    from .contract import BatchWire

WIRES: Final = ("anthropic", "gemini", "mistral", "openai")


def wire(name: str) -> BatchWire:
    """The module of a dialect; KeyError for a name that is none."""
    return cast("BatchWire", dialect(__name__, name, WIRES))
