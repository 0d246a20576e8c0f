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
    """What happened, and what mends it."""


class Check(Value):
    """Whether an answer is what was expected; `passed` is None where that could not be found out."""

    passed: bool | None
    failed: tuple[str, ...] = ()
    """What it is not, in words."""
    unchecked: tuple[str, ...] = ()
    """What could not be checked, and why."""


class Result(Generated):
    """One answer of one model, or why there is none: `prompt` and `sample` count from 0, `model` is the name asked."""

    prompt: int = 0
    sample: int = 0
    error: Failure | None = None
    """Why there is no answer."""
    check: Check | None = None
    """Whether it is what `expect` says; null where nothing was expected."""


class Rate(Value):
    """A share with its 95 % interval; `n` is how many independent units (prompts, or pairs for flips) it rests on."""

    value: float
    """From 0 to 1."""
    low: float
    """The interval's lower end."""
    high: float
    """Its upper end."""
    n: int


class Standing(Value):
    """A model's row: answers given and failed, means per answer, checks passed, win rate over the prompts.

    `target` is the `provider:model` that the name stood for; `dominated_by` names models that are no dearer, no slower
    and no worse, and better in one of these.
    """

    model: str
    """The name that was asked for."""
    target: str | None = None
    answers: int = 0
    """How many it gave."""
    failed: int = 0
    """How many it did not."""
    usd: float | None = None
    """Dollars an answer, on average; null where one of them is unknown."""
    seconds: float | None = None
    """Seconds an answer."""
    output_tokens: float | None = None
    """Tokens an answer."""
    passed: Rate | None = None
    """Share of checks passed."""
    win_rate: Rate | None = None
    """Share of prompts won against the others, ties one half."""
    dominated_by: tuple[str, ...] = ()


class Pair(Value):
    """Two models over the prompts: how many `a` won, lost and tied, its win rate, and the sign test's two-sided p."""

    a: str
    b: str
    """The other model."""
    won: int
    """Prompts that `a` won."""
    lost: int
    """Prompts that `b` won."""
    tied: int
    """Prompts that neither won."""
    win_rate: Rate
    """Of `a`, ties one half."""
    p: float
    """How likely so uneven a result is between equals."""


class Similarity(Value):
    """How alike the answers of two models are: share of equal ones, mean token F1, over `compared` pairs of answers."""

    a: str
    """One model."""
    b: str
    """The other."""
    same: float
    """Share of equal answers."""
    similarity: float
    """Words in common, from 0 to 1."""
    compared: int


class Agreement(Value):
    """Agreement between models; `same` and `similarity` are means over pairs of models.

    `consistency` is the share of equal answers among a model's own samples, where there are several.
    """

    same: float
    similarity: float
    pairs: tuple[Similarity, ...]
    """Each pair of models."""
    consistency: dict[str, float] = Field(default_factory=dict)


class Judge(Value):
    """One judge: verdicts asked for and failed, how often its verdict changed when the answers changed places.

    `preferred_first` is, of the pairs where it preferred the same place both times, the share in which that was the
    first place.
    """

    model: str
    """The name it was asked by."""
    target: str
    """The `provider:model` that this is."""
    asked: int
    """Verdicts asked for."""
    failed: int
    """Verdicts that did not come, or were none."""
    flips: Rate | None = None
    """Share of verdicts that changed when the answers changed places."""
    preferred_first: float | None = None


class LengthBias(Value):
    """Does the longer answer win? `longer_won` is its share of decided pairs, `p` a permutation test of one half.

    `within` is the correlation of relative length and verdict within each pair of models, where a model that is both
    longer and better says nothing, with its `within_p`. `suspect` is set where either is significant at 5 %.
    """

    longer_won: float
    decided: int
    """Pairs that were no ties."""
    p: float
    within: float | None = None
    within_p: float | None = None
    suspect: bool = False


class Judging(Value):
    """How the answers were judged. `kappa` is the judges' chance-corrected agreement, None with fewer than two."""

    judges: tuple[Judge, ...]
    """One row for each."""
    flips: Rate | None = None
    """Of all judges together."""
    kappa: float | None = None
    kappa_of: Literal["cohen", "fleiss"] | None = None
    """Which kappa: of two judges, or of more."""
    length: LengthBias | None = None
    """Whether the longer answer wins."""
    failures: tuple[str, ...] = ()
    """What went wrong with judges, in words."""
    unjudged: tuple[str, ...] = ()
    """Pairs that no judge may score, because each is a relative of one of the two."""


class Verdict(Value):
    """What may be concluded. `winner` is None unless it beats every other model beyond chance.

    `p` is adjusted for choosing the best of several; `more_prompts` is how many further prompts would probably settle
    it, None where that is not practical; `basis` says what decided: the judges or the exact checks.
    """

    winner: str | None
    words: str
    """The verdict as a sentence, with the figures it rests on."""
    basis: Literal["judges", "checks"]
    prompts: int
    """How many prompts it rests on."""
    p: float | None = None
    more_prompts: int | None = None


class Quote(Value):
    """What it will cost. `usd_likely` supposes answers of the usual length, `usd_at_most` the longest possible.

    Sums are of what is known: `unpriced` names the models without a known price, which are in no sum.
    """

    answers: int
    """Calls for answers."""
    judgements: int
    """Calls of judges."""
    usd_at_least: float | None = None
    """What the input alone costs."""
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
    """A row for each model, in the order asked."""
    verdict: Verdict | None = None
    """What may be concluded; null without judges and checks."""
    pairs: tuple[Pair, ...] = ()
    """Every pair of models."""
    agreement: Agreement | None = None
    """How alike the answers are."""
    judging: Judging | None = None
    """How the judges did."""
    frontier: tuple[str, ...] | None = None
    """Models that none dominates in cost, quality and latency; None without a measure of quality."""
    quote: Quote
    """What it was taken to cost beforehand."""
    quoted: bool = False
    cost: Cost = Cost()
    """What all of it cost, judges included."""
    latency_ms: int | None = None
    """Milliseconds from the first request to the end."""
    run_id: str
    """The id under which it is kept."""
    warnings: tuple[str, ...] = ()
    """What was noticed on the way."""

    def of(self, model: str) -> tuple[Result, ...]:
        """A model's results."""
        return tuple(result for result in self.results if result.model == model)
