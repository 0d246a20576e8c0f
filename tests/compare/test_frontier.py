"""Who is dominated by whom."""

from __future__ import annotations

from mcp_llm.compare.frontier import Figures, dominated


def test_dearer_slower_and_no_better_is_dominated() -> None:
    figures: dict[str, Figures] = {
        "good": (0.01, 0.8, 2.0),
        "worse": (0.02, 0.8, 2.0),
        "cheap": (0.001, 0.5, 2.0),
        "quick": (0.01, 0.4, 0.5),
        "worst": (0.02, 0.4, 3.0),
    }
    assert dominated(figures) == {
        "good": (),
        "worse": ("good",),
        "cheap": (),
        "quick": (),
        "worst": ("good", "worse", "cheap", "quick"),
    }


def test_an_unknown_cost_is_not_nothing() -> None:
    figures: dict[str, Figures] = {"unknown": (None, 1.0, 0.1), "known": (0.5, 0.1, 9.0), "free": (0.0, 0.1, 9.0)}
    assert dominated(figures) == {"unknown": (), "known": ("free",), "free": ()}


def test_a_hundredth_of_a_second_dominates_nobody() -> None:
    assert dominated({"a": (0.0, 0.5, 1.001), "b": (0.0, 0.5, 1.0)}) == {"a": (), "b": ()}
