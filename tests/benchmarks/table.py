"""One row a piece of work: what it costs us, what it costs the floor, the goal, and how the peers compare."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(slots=True)
class Row:
    """`got` and the peers' words are ratios to the floor unless the unit says otherwise; `goal` is the most of it."""

    work: str
    unit: str
    ours: float
    floor: float | None
    got: float
    goal: float | None = None
    peers: dict[str, float] = field(default_factory=dict)
    form: str = "{:.2f}"
    spread: tuple[float, float] | None = None

    @property
    def missed(self) -> bool:
        """Whether there is a goal that is not reached."""
        return self.goal is not None and self.got > self.goal


def ratios(values: Sequence[float], floor: Sequence[float]) -> list[float]:
    """Ours to the floor's of the same round."""
    return [a / b for a, b in zip(values, floor, strict=False)]


def compared(
    work: str,
    unit: str,
    ours: Sequence[float],
    floor: Sequence[float],
    goal: float | None = None,
    peers: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
) -> Row:
    """A row of ratios: medians over the rounds, and the least and the most of ours. Peers come with their own floor."""
    single = ratios(ours, floor)
    others = {name: statistics.median(ratios(*pair)) for name, pair in (peers or {}).items()}
    return Row(
        work,
        unit,
        statistics.median(ours),
        statistics.median(floor),
        statistics.median(single),
        goal,
        others,
        spread=(min(single), max(single)),
    )


def show(rows: Sequence[Row], peers: Sequence[str]) -> None:
    """Print the table."""
    heads = ["work", "unit", "ours", "floor", "ratio", "(rounds)", "goal", *peers]
    lines = [heads]
    for row in rows:
        spread = "" if row.spread is None else f"{row.spread[0]:.2f}-{row.spread[1]:.2f}"
        goal = "" if row.goal is None else "<= " + row.form.format(row.goal) + (" MISSED" if row.missed else "")
        others = [row.form.format(row.peers[name]) if name in row.peers else "" for name in peers]
        floor = "" if row.floor is None else f"{row.floor:.1f}"
        lines.append([row.work, row.unit, f"{row.ours:.1f}", floor, row.form.format(row.got), spread, goal, *others])
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for number, line in enumerate(lines):
        cells = [
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print(" | ".join(cells))
        if not number:
            print("-|-".join("-" * width for width in widths))
