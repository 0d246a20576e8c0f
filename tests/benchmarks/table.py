"""One row a piece of work: what it costs us, what it costs the floor, the goal, and how the peers compare."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Spread = tuple[float, float, float]
"""Median, least and most of the rounds."""


@dataclass(slots=True)
class Row:
    """`got` and the peers' words are ratios to the floor unless the unit says otherwise; `goal` is the most of it.

    `spread` and the peers' figures come with the least and the most of single rounds, where there were several.
    """

    work: str
    unit: str
    ours: float
    floor: float | None
    got: float
    goal: float | None = None
    peers: dict[str, Spread] = field(default_factory=dict)
    form: str = "{:.2f}"
    spread: tuple[float, float] | None = None

    @property
    def missed(self) -> bool:
        """Whether there is a goal that is not reached."""
        return self.goal is not None and self.got > self.goal


def spread(values: Sequence[float]) -> Spread:
    """Of the figures of several rounds."""
    return statistics.median(values), min(values), max(values)


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
    """A row of ratios: medians over the rounds, the least and the most of them. Peers come with their own floor."""
    got, least, most = spread(ratios(ours, floor))
    others = {name: spread(ratios(*pair)) for name, pair in (peers or {}).items()}
    return Row(
        work,
        unit,
        statistics.median(ours),
        statistics.median(floor),
        got,
        goal,
        others,
        spread=(least, most),
    )


def _range(form: str, least: float, most: float) -> str:
    return f"{form.format(least)}-{form.format(most)}"


def show(rows: Sequence[Row], peers: Sequence[str]) -> None:
    """Print the table for a terminal."""
    heads = ["work", "unit", "ours", "floor", "ratio", "(rounds)", "goal", *peers]
    lines = [heads]
    for row in rows:
        rounds = "" if row.spread is None else _range("{:.2f}", *row.spread)
        goal = "" if row.goal is None else "<= " + row.form.format(row.goal) + (" MISSED" if row.missed else "")
        others = [row.form.format(row.peers[name][0]) if name in row.peers else "" for name in peers]
        floor = "" if row.floor is None else f"{row.floor:.1f}"
        lines.append([row.work, row.unit, f"{row.ours:.1f}", floor, row.form.format(row.got), rounds, goal, *others])
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for number, line in enumerate(lines):
        cells = [
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print(" | ".join(cells))
        if not number:
            print("-|-".join("-" * width for width in widths))


def markdown(rows: Sequence[Row], peers: Sequence[str], told: Sequence[str]) -> None:
    """Print the table for a page: every ratio with the least and the most of its rounds; `told` goes before it."""
    print("\n".join(f"- {line}" for line in told))
    used = [name for name in peers if any(name in row.peers for row in rows)]
    print(f"\n| work | unit | ours | floor | ratio (rounds) | goal |{''.join(f' {name} |' for name in used)}")
    print(f"|---|---|--:|--:|--:|--:|{'--:|' * len(used)}")
    for row in rows:
        got = row.form.format(row.got) + ("" if row.spread is None else f" ({_range(row.form, *row.spread)})")
        goal = "" if row.goal is None else f"{row.form.format(row.goal)}{' missed' if row.missed else ''}"
        cells = [
            row.work.strip() if row.work.strip() == row.work else f"… {row.work.strip()}",
            row.unit,
            f"{row.ours:.1f}",
            "" if row.floor is None else f"{row.floor:.1f}",
            got if not row.missed else f"**{got}**",
            goal,
            *(_peer(row, name) for name in used),
        ]
        print(f"| {' | '.join(cells)} |")


def _peer(row: Row, name: str) -> str:
    if name not in row.peers:
        return ""
    median, least, most = row.peers[name]
    return row.form.format(median) + (f" ({_range(row.form, least, most)})" if most > least else "")
