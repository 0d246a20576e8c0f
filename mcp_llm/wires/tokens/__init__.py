"""Dialects of counting tokens, by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from mcp_llm.wires.base import TokensWire

WIRES: Final = ("anthropic", "gemini", "responses")


def wire(name: str) -> TokensWire:
    """The module of a dialect; KeyError for a name that is none."""
    if name not in WIRES:
        raise KeyError(name)
    return cast("TokensWire", import_module(f"{__name__}.{name}"))
