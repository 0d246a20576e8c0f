"""Dialects of speaking words, by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from mcp_llm.wires.base import WholeWire

WIRES: Final = ("gemini", "openai")


def wire(name: str) -> WholeWire[Any, Any]:
    """The module of a dialect; KeyError for a name that is none."""
    if name not in WIRES:
        raise KeyError(name)
    return cast("WholeWire[Any, Any]", import_module(f"{__name__}.{name}"))
