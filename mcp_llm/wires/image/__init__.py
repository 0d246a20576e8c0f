"""Dialects of making pictures, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from mcp_llm.wires.named import dialect

if TYPE_CHECKING:
    from mcp_llm.wires.base import WholeWire

WIRES: Final = ("fireworks", "gemini", "openai")


def wire(name: str) -> WholeWire[Any, Any]:
    """The module of a dialect; KeyError for a name that is none."""
    return cast("WholeWire[Any, Any]", dialect(__name__, name, WIRES))
