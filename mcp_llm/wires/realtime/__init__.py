"""Dialects of conversations over a socket, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from mcp_llm.wires.named import dialect

if TYPE_CHECKING:
    from .contract import RealtimeWire

WIRES: Final = ("gemini", "openai")


def wire(name: str) -> RealtimeWire:
    """The module of a dialect; KeyError for a name that is none."""
    return cast("RealtimeWire", dialect(__name__, name, WIRES))
