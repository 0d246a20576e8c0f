"""Names that vendors give beside an answer: ids, models, reasons. What is none is unknown, and costs no answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_llm.types.message import Json


def word(value: Json) -> str | None:
    """A name, which some servers give as a number."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
