"""Whole comparisons of generated answers whose truth is known, again and again: does what we say of them hold?

`test_stats.py` asks the same of the formulas; here answers are asked for, judged and counted as a user's would be.
"""

from __future__ import annotations

import math
import os
import re
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.compare.asked import Comparison
from mcp_llm.compare.operation import compare
from mcp_llm.compare.stats import ALPHA

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.compare.result import Compared

pytestmark = pytest.mark.anyio

SIMULATIONS = int(os.environ.get("MCP_LLM_SIMULATIONS", "30"))
PROMPTS = 20
QUALITY = re.compile(r"quality (-?[0-9.]+)")


class World:
    """Answers are worth something, drawn for each; a judge sees it, and takes the first answer with a chance `bias`."""

    def __init__(self, opening: Any, paper: Any, verdict: Any, *, better: float, bias: float = 0.0) -> None:
        self.opening, self.paper, self.verdict = opening, paper, verdict
        self.better, self.bias = better, bias
        self.luck = Random(11)

    def _answers(self, mean: float) -> Callable[[str, str], str]:
        return lambda prompt, model: f"an answer of quality {self.luck.gauss(mean, 1):.6f}"

    def _judge(self, prompt: str, model: str) -> str:
        seen = self.paper(prompt)
        worth = [float(QUALITY.findall(words)[0]) for words in (seen.a, seen.b)]
        first = self.luck.random() < self.bias or worth[0] > worth[1]
        return str(self.verdict("A" if first else "B"))

    async def compared(self, times: int) -> list[Compared]:
        models = {"ash": self._answers(self.better), "oak": self._answers(0.0), "elm": self._judge}
        found = []
        async with self.opening(**models) as service:
            for _ in range(times):
                prompts = [f"question {number}" for number in range(PROMPTS)]
                asked = Comparison(prompts=prompts, models=["ash:x", "oak:y"], judge="elm:z", prompt=None)
                found.append(await compare(service, asked))
        return found


def margin(rate: float) -> float:
    """Three standard errors of a rate over so many simulations."""
    return 3 * math.sqrt(rate * (1 - rate) / SIMULATIONS)


@pytest.fixture
def world(opening: Any, paper: Any, verdict: Any) -> Callable[..., World]:
    return lambda **known: World(opening, paper, verdict, **known)


async def test_the_interval_covers_how_often_the_better_model_is_better(world: Any, report: list[str]) -> None:
    truth = 0.5 * (1 + math.erf(0.8 / 2))  # of two normal variables whose means differ by 0.8
    found = await world(better=0.8).compared(SIMULATIONS)
    rates = [one.pairs[0].win_rate for one in found]
    covered = sum(rate.low <= truth <= rate.high for rate in rates) / SIMULATIONS
    won = sum(one.verdict is not None and one.verdict.winner == "ash:x" for one in found) / SIMULATIONS
    lost = sum(one.verdict is not None and one.verdict.winner == "oak:y" for one in found) / SIMULATIONS
    report.append(
        f"{SIMULATIONS} comparisons of {PROMPTS} prompts, the better model better in {truth:.1%}: the 95 % interval "
        f"covers it in {covered:.1%}; called better in {won:.1%}, the worse one in {lost:.1%}"
    )
    assert covered >= 0.95 - margin(0.95)
    assert lost <= ALPHA / 2 + margin(ALPHA / 2)


async def test_equal_models_end_in_not_enough_evidence(world: Any, report: list[str]) -> None:
    found = await world(better=0.0).compared(SIMULATIONS)
    words = [one.verdict.words for one in found if one.verdict is not None and one.verdict.winner is None]
    assert all("not enough evidence" in said for said in words)
    report.append(f"{SIMULATIONS} comparisons of equal models: not enough evidence in {len(words) / SIMULATIONS:.1%}")
    assert len(words) / SIMULATIONS >= 1 - ALPHA - margin(ALPHA)


async def test_a_judge_with_a_bias_for_the_first_place_is_exposed(world: Any, report: list[str]) -> None:
    bias = 0.6
    found = await world(better=0.8, bias=bias).compared(SIMULATIONS)
    judges = [one.judging.judges[0] for one in found if one.judging is not None]
    flips = [one.flips for one in judges if one.flips is not None]
    # The better answer second is passed over with the chance of the bias: then the verdict turned with the order.
    covered = sum(one.low <= bias <= one.high for one in flips) / SIMULATIONS
    told = sum(any("changed their verdict" in words for words in one.warnings) for one in found) / SIMULATIONS
    report.append(
        f"{SIMULATIONS} comparisons with a judge that takes the first in {bias:.0%} of the cases: flip rate "
        f"{sum(one.value for one in flips) / SIMULATIONS:.1%}, its interval covers the truth in {covered:.1%}; "
        f"the user is told in {told:.1%}"
    )
    assert len(flips) == SIMULATIONS
    assert covered >= 0.95 - margin(0.95)
    assert told >= 0.9 - margin(0.9)
