"""Dialects of listing models, by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from mcp_llm.wires.base import DetailsWire, ModelsWire

WIRES: Final = ("anthropic", "gemini", "ollama", "openai")
DETAILED: Final = ("ollama",)
"""Those whose list has names only, and which tell the rest of one model at a time."""


def wire(name: str) -> ModelsWire:
    """The module of a dialect; KeyError for a name that is none."""
    if name not in WIRES:
        raise KeyError(name)
    return cast("ModelsWire", import_module(f"{__name__}.{name}"))


def details(name: str) -> DetailsWire | None:
    """The same module where it can ask for one model, else None."""
    return cast("DetailsWire", import_module(f"{__name__}.{name}")) if name in DETAILED else None
