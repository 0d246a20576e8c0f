"""What a goal's module gives: figures, each beside what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Figure", "verdict"]


@dataclass(frozen=True)
class Figure:
    """One measured number. `value` None: it could not be measured here, and `note` says why."""

    what: str
    value: float | None
    unit: str
    limit: float
    """What it has to be: at most this, or with `least` at least this, in the same unit."""
    least: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether it is as it should be; None where nothing was measured."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.least else self.value <= self.limit


def verdict(figure: Figure) -> Literal["met", "MISSED", "not measured"]:
    """The word beside a figure."""
    return "not measured" if figure.met is None else "met" if figure.met else "MISSED"
