"""Reasoning efforts in order, for wires whose models know only some of the words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from mcp_llm.types.chat import Effort

if TYPE_CHECKING:
    from collections.abc import Sequence

EFFORTS: Final[tuple[Effort, ...]] = get_args(Effort)
"""From none to max."""


def nearest(effort: Effort, levels: Sequence[Effort]) -> Effort:
    """The level next to an effort; of two at the same distance the lower."""
    at = EFFORTS.index(effort)
    return min(levels, key=lambda level: (abs(EFFORTS.index(level) - at), EFFORTS.index(level)))
