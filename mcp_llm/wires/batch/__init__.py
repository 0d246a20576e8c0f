"""Dialects of vendors' batch APIs, by name: many chat requests at half price, answered within a day."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from .contract import BatchWire

WIRES: Final = ("anthropic", "gemini", "mistral", "openai")


def wire(name: str) -> BatchWire:
    """The module of a dialect; KeyError for a name that is none."""
    if name not in WIRES:
        raise KeyError(name)
    return cast("BatchWire", import_module(f"{__name__}.{name}"))
