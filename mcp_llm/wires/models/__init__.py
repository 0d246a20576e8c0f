"""Dialects of listing models, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from mcp_llm.wires.named import dialect

if TYPE_CHECKING:
    from mcp_llm.wires.base import DetailsWire, ModelsWire

WIRES: Final = ("anthropic", "gemini", "ollama", "openai")
DETAILED: Final = ("ollama",)
"""Those whose list has names only, and which tell the rest of one model at a time."""


def wire(name: str) -> ModelsWire:
    """The module of a dialect; KeyError for a name that is none."""
    return cast("ModelsWire", dialect(__name__, name, WIRES))


def details(name: str) -> DetailsWire | None:
    """The same module where it can ask for one model, else None."""
    return cast("DetailsWire", dialect(__name__, name, DETAILED)) if name in DETAILED else None
