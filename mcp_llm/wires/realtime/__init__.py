"""Dialects of conversations over a socket, by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from .contract import RealtimeWire

WIRES: Final = ("gemini", "openai")


def wire(name: str) -> RealtimeWire:
    """The module of a dialect; KeyError for a name that is none."""
    if name not in WIRES:
        raise KeyError(name)
    return cast("RealtimeWire", import_module(f"{__name__}.{name}"))
