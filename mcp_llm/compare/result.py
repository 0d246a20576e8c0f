"""What a comparison gives: every answer, what was checked and judged, and how sure one can be. Unknown is null."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mcp_llm.types.message import Value
from mcp_llm.types.result import Cost, Generated


class Failure(Value):
    """Why a model gave no answer; `kind` is the error's stable word."""

    kind: str
    message: str


class Check(Value):
    """Whether an answer is what was expected; `passed` is None where that could not be found out."""

    passed: bool | None
    failed: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


class Result(Generated):
    """One answer of one model, or why there is none: `prompt` and `sample` count from 0, `model` is the name asked."""

    prompt: int = 0
    sample: int = 0
    error: Failure | None = None
    check: Check | None = None


class Rate(Value):
    """A share with its 95 % interval; `n` is how many independent units (prompts, or pairs for flips) it rests on."""

    value: float
    low: float
    high: float
    n: int


class Standing(Value):
    """A model's row: answers given and failed, means per answer, checks passed, win rate over the prompts.

    `target` is the `provider:model` that the name stood for; `dominated_by` names models that are no dearer, no slower
    and no worse, and better in one of these.
    """

    model: str
    target: str | None = None
    answers: int = 0
    failed: int = 0
    usd: float | None = None
    seconds: float | None = None
    output_tokens: float | None = None
    passed: Rate | None = None
    win_rate: Rate | None = None
    dominated_by: tuple[str, ...] = ()


class Pair(Value):
    """Two models over the prompts: how many `a` won, lost and tied, its win rate, and the sign test's two-sided p."""

    a: str
    b: str
    won: int
    lost: int
    tied: int
    win_rate: Rate
    p: float


class Similarity(Value):
    """How alike the answers of two models are: share of equal ones, mean token F1, over `compared` pairs of answers."""

    a: str
    b: str
    same: float
    similarity: float
    compared: int


class Agreement(Value):
    """Agreement between models; `same` and `similarity` are means over pairs of models.

    `consistency` is the share of equal answers among a model's own samples, where there are several.
    """

    same: float
    similarity: float
    pairs: tuple[Similarity, ...]
    consistency: dict[str, float] = Field(default_factory=dict)


class Judge(Value):
    """One judge: verdicts asked for and failed, how often its verdict changed when the answers changed places.

    `preferred_first` is, of the pairs where it preferred the same place both times, the share in which that was the
    first place.
    """

    model: str
    target: str
    asked: int
    failed: int
    flips: Rate | None = None
    preferred_first: float | None = None


class LengthBias(Value):
    """Does the longer answer win? `longer_won` is its share of decided pairs, `p` a permutation test of one half.

    `within` is the correlation of relative length and verdict within each pair of models, where a model that is both
    longer and better says nothing, with its `within_p`. `suspect` is set where either is significant at 5 %.
    """

    longer_won: float
    decided: int
    p: float
    within: float | None = None
    within_p: float | None = None
    suspect: bool = False


class Judging(Value):
    """How the answers were judged. `kappa` is the judges' chance-corrected agreement, None with fewer than two."""

    judges: tuple[Judge, ...]
    flips: Rate | None = None
    kappa: float | None = None
    kappa_of: Literal["cohen", "fleiss"] | None = None
    length: LengthBias | None = None
    failures: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    """Pairs that no judge may score, because each is a relative of one of the two."""


class Verdict(Value):
    """What may be concluded. `winner` is None unless it beats every other model beyond chance.

    `p` is adjusted for choosing the best of several; `more_prompts` is how many further prompts would probably settle
    it, None where that is not practical; `basis` says what decided: the judges or the exact checks.
    """

    winner: str | None
    words: str
    basis: Literal["judges", "checks"]
    prompts: int
    p: float | None = None
    more_prompts: int | None = None


class Quote(Value):
    """What it will cost. `usd_likely` supposes answers of the usual length, `usd_at_most` the longest possible.

    Sums are of what is known: `unpriced` names the models without a known price, which are in no sum.
    """

    answers: int
    judgements: int
    usd_at_least: float | None = None
    usd_likely: float | None = None
    usd_at_most: float | None = None
    unpriced: tuple[str, ...] = ()


class Compared(Value):
    """A comparison. `response` is the table and the verdict as text; `results` are in the order asked.

    With `quoted` nothing was asked: `response` says what it would cost and how to go on.
    """

    response: str
    results: tuple[Result, ...] = ()
    models: tuple[Standing, ...] = ()
    verdict: Verdict | None = None
    pairs: tuple[Pair, ...] = ()
    agreement: Agreement | None = None
    judging: Judging | None = None
    frontier: tuple[str, ...] | None = None
    """Models that none dominates in cost, quality and latency; None without a measure of quality."""
    quote: Quote
    quoted: bool = False
    cost: Cost = Cost()
    latency_ms: int | None = None
    run_id: str
    warnings: tuple[str, ...] = ()

    def of(self, model: str) -> tuple[Result, ...]:
        """A model's results."""
        return tuple(result for result in self.results if result.model == model)
