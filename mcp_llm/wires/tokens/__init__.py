"""Dialects of counting tokens, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from mcp_llm.wires.named import dialect

if TYPE_CHECKING:
    from mcp_llm.wires.base import TokensWire

WIRES: Final = ("anthropic", "gemini", "responses")


def wire(name: str) -> TokensWire:
    """The module of a dialect; KeyError for a name that is none."""
    return cast("TokensWire", dialect(__name__, name, WIRES))
