"""Who is dominated by whom in cost, quality and latency. An unknown figure is not 0: it is not compared. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Figures: TypeAlias = "tuple[float | None, float | None, float | None]"
"""(dollars, quality, seconds) of a model; None is unknown."""


def dominated(figures: Mapping[str, Figures]) -> dict[str, tuple[str, ...]]:
    """Model -> the models that are at least as good in all three figures and better in one (Pareto dominance).

    A model with an unknown figure neither dominates nor is dominated.
    """
    return {
        model: tuple(other for other, theirs in figures.items() if other != model and _beats(theirs, ours))
        for model, ours in figures.items()
    }


def _beats(a: Figures, b: Figures) -> bool:
    if None in a or None in b:
        return False
    # A hundredth of a second or a thousandth of the cost is chance, not an advantage.
    a, b = (
        (_rounded(usd), quality, None if seconds is None else round(seconds, 1)) for usd, quality, seconds in (a, b)
    )
    gains = [sign * ((mine or 0.0) - (yours or 0.0)) for sign, mine, yours in zip((-1, 1, -1), a, b, strict=True)]
    return all(gain >= 0 for gain in gains) and any(gain > 0 for gain in gains)


def _rounded(usd: float | None) -> float | None:
    """Three significant digits."""
    return None if usd is None else float(f"{usd:.3g}")
