"""From verdicts or checks to what may be concluded. Pure.

The prompt is the unit: samples and judges of one prompt hang together, so they are summed up to one outcome for each
pair of models and prompt before anything is counted.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from . import stats
from .lengths import length_bias
from .result import Judge, Judging, Pair, Rate, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .judging import Ballot, Panelist

Outcomes: TypeAlias = "dict[tuple[int, int], dict[int, int]]"
"""Pair of models (by place) -> prompt -> +1 the first won, -1 the second, 0 tie."""

WORTH: Final = 2 / 3
"""Share of the decided prompts that a model has to win for the difference to be worth finding."""
SUSPECT_FLIPS: Final = 0.3
"""Share of flipped verdicts from which the judging itself is in doubt."""


def of_ballots(ballots: Sequence[Ballot]) -> Outcomes:
    """The majority of all judges and samples for each pair and prompt, where one was judged in both orders."""
    sums: dict[tuple[int, int], dict[int, int]] = {}
    for one in ballots:
        if (score := one.score) is not None:
            found = sums.setdefault((one.a, one.b), {})
            found[one.prompt] = found.get(one.prompt, 0) + score
    return {pair: {prompt: _sign(value) for prompt, value in found.items()} for pair, found in sums.items()}


def of_checks(passed: Mapping[tuple[int, int], float]) -> Outcomes:
    """From (place of the model, prompt) -> share of its samples that passed: whoever passed more has won the prompt."""
    models = sorted({model for model, _ in passed})
    prompts = sorted({prompt for _, prompt in passed})
    return {
        (a, b): found
        for a, b in combinations(models, 2)
        if (
            found := {
                prompt: _sign(passed[a, prompt] - passed[b, prompt])
                for prompt in prompts
                if (a, prompt) in passed and (b, prompt) in passed
            }
        )
    }


def rate(total: float, n: int) -> Rate:
    """A share with its Wilson interval."""
    low, high = stats.wilson(total, n)
    return Rate(value=total / n, low=low, high=high, n=n)


def pairs(outcomes: Outcomes, names: Sequence[str]) -> tuple[Pair, ...]:
    """A row for each pair of models."""
    found = []
    for (a, b), prompts in outcomes.items():
        won, lost, tied = _counts(prompts.values())
        share = rate(won + tied / 2, len(prompts))
        p = stats.sign_test(won, lost)
        found.append(Pair(a=names[a], b=names[b], won=won, lost=lost, tied=tied, win_rate=share, p=p))
    return tuple(found)


def win_rates(outcomes: Outcomes) -> dict[int, Rate]:
    """Model -> its mean score over prompts (win 1, tie one half) against all it was compared with there."""
    scores: dict[int, dict[int, list[float]]] = {}
    for (a, b), prompts in outcomes.items():
        for prompt, outcome in prompts.items():
            scores.setdefault(a, {}).setdefault(prompt, []).append((1 + outcome) / 2)
            scores.setdefault(b, {}).setdefault(prompt, []).append((1 - outcome) / 2)
    return {
        model: rate(math.fsum(math.fsum(found) / len(found) for found in prompts.values()), len(prompts))
        for model, prompts in scores.items()
    }


def verdict(outcomes: Outcomes, names: Sequence[str], basis: Literal["judges", "checks"]) -> Verdict | None:
    """The winner, or that there is not enough evidence and how much more it would take; None without any outcome.

    A winner beats each of the other K - 1 models in a one-sided exact sign test at alpha / K. So the chance to call a
    model the winner that is not better than all others is at most alpha: each of the K models could be called so, and
    for that it would have to beat one that is no worse.
    """
    if not outcomes:
        return None
    models = sorted({model for pair in outcomes for model in pair})
    prompts = len({prompt for found in outcomes.values() for prompt in found})
    rates = win_rates(outcomes)
    leader = max(models, key=lambda model: rates[model].value)
    rivals = []
    for other in models:
        if other != leader and (found := _against(outcomes, leader, other)):
            won, lost, tied = _counts(found)
            rivals.append((stats.beats(won, lost), -other, won, lost, tied, other))
    hardest, _, won, lost, tied, rival = max(rivals)
    p = min(1.0, hardest * len(models))
    met = len(rivals) == len(models) - 1
    said = (
        f"against {names[rival]}, its closest rival, it won {won}, lost {lost} and tied {tied} of {won + lost + tied}"
    )
    said = said if len(models) > 2 else f"it won {won}, lost {lost} and tied {tied} of {won + lost + tied}"
    said += f" prompt(s) (sign test, p {_p(p)})"
    if p <= stats.ALPHA and met:
        words = f"{names[leader]} is better by the {basis}: {said}"
        return Verdict(winner=names[leader], words=words, basis=basis, prompts=prompts, p=p, more_prompts=0)
    more, supposing = more_prompts(won, lost, tied, len(models))
    if won == lost:
        words = (
            f"not enough evidence that any model is better by the {basis}: {names[leader]} and {names[rival]} are level"
        )
        words += f", each won {won} and {tied} were ties"
    else:
        words = f"not enough evidence that any model is better by the {basis}: {names[leader]} leads, but {said}"
    if not met:
        words += f"; some pairs with {names[leader]} were not compared"
    if more is None:
        words += ". A difference worth finding would probably have shown by now: take them as equals"
    else:
        words += f". About {more:,} more prompt(s) would probably settle it if {supposing}"
    return Verdict(winner=None, words=words, basis=basis, prompts=prompts, p=p, more_prompts=more)


def more_prompts(won: int, lost: int, tied: int, models: int) -> tuple[int | None, str]:
    """Further prompts after which the sign test finds a difference four times in five, and which difference.

    The one that shows, or where that is none or too small to be found, the least that is worth it. Shares of wins and
    of ties are taken as (k + 1) / (n + 2) and (k + 1) / (n + 3), Laplace's rule, because what a few prompts show is
    usually more than there is. None when there have been prompts enough.
    """
    total = won + lost + tied
    deciding = 1 - (tied + 1) / (total + 3)
    seen = (max(won, lost) + 1) / (won + lost + 2)
    for share, supposing in (
        (seen, "things go on like this"),
        (WORTH, "one of them wins two decided prompts in three"),
    ):
        needed = stats.trials_needed(share, alpha=stats.ALPHA / models)
        if needed is not None and (prompts := math.ceil(needed / deciding)) <= stats.MOST_TRIALS:
            return max(1, prompts - total) if share == seen or prompts > total else None, supposing
    return None, ""


def judging(
    ballots: Sequence[Ballot],
    panel: Sequence[Panelist],
    failures: Sequence[tuple[int, str]],
    unjudged: Sequence[str],
    length: Callable[[int, int, int], int],
) -> Judging:
    """How the judges did. `failures` are (judge, why); `length(model, prompt, sample)` is an answer's in characters."""
    rows = []
    for index, one in enumerate(panel):
        own = [ballot for ballot in ballots if ballot.judge == index]
        failed = sum(1 for judge, _ in failures if judge == index)
        whole = [ballot for ballot in own if ballot.score is not None]
        turned = [ballot for ballot in whole if {ballot.forward, ballot.backward} == {"a", "b"}]
        rows.append(
            Judge(
                model=one.name,
                target=one.target.name,
                asked=2 * len(own),
                failed=failed,
                flips=flips(whole),
                preferred_first=sum(ballot.forward == "a" for ballot in turned) / len(turned) if turned else None,
            )
        )
    kappa, of = agreement(ballots, len(panel))
    told = Counter(f"{panel[judge].name}: {why}" for judge, why in failures)
    return Judging(
        judges=tuple(rows),
        flips=flips([one for one in ballots if one.score is not None]),
        kappa=kappa,
        kappa_of=of,
        length=length_bias(_lengths(ballots, length)),
        failures=tuple(f"{words} (x{times})" if times > 1 else words for words, times in told.items()),
        unjudged=tuple(unjudged),
    )


def flips(whole: Sequence[Ballot]) -> Rate | None:
    """The share of pairs of answers whose verdict was another one when they changed places."""
    return rate(sum(one.forward != one.backward for one in whole), len(whole)) if whole else None


def agreement(ballots: Sequence[Ballot], judges: int) -> tuple[float | None, Literal["cohen", "fleiss"] | None]:
    """The judges' kappa over what all of them judged: Cohen's for two, Fleiss' for more.

    Where nothing was judged by all (each is kept from some pairs), the mean of Cohen's over the pairs of judges.
    """
    scores: dict[tuple[int, int, int, int], dict[int, int]] = {}
    for one in ballots:
        if one.score is not None:
            scores.setdefault((one.a, one.b, one.prompt, one.sample), {})[one.judge] = one.score
    everyone = [[found[judge] for judge in range(judges)] for found in scores.values() if len(found) == judges]
    if judges > 2 and everyone:
        return stats.fleiss(everyone), "fleiss"
    kappas = []
    for a, b in combinations(range(judges), 2):
        both = [(found[a], found[b]) for found in scores.values() if a in found and b in found]
        if both and (kappa := stats.cohen([one for one, _ in both], [other for _, other in both])) is not None:
            kappas.append(kappa)
    return (math.fsum(kappas) / len(kappas), "cohen") if kappas else (None, None)


def _lengths(
    ballots: Sequence[Ballot], length: Callable[[int, int, int], int]
) -> dict[tuple[int, int], dict[int, tuple[float, int]]]:
    """Pair -> prompt -> (mean log ratio of the lengths over its samples, outcome)."""
    samples: dict[tuple[int, int, int], set[int]] = {}
    for one in ballots:
        if one.score is not None:
            samples.setdefault((one.a, one.b, one.prompt), set()).add(one.sample)
    found: dict[tuple[int, int], dict[int, tuple[float, int]]] = {}
    for (a, b), prompts in of_ballots(ballots).items():
        for prompt, outcome in prompts.items():
            ratios = [
                math.log((1 + length(a, prompt, sample)) / (1 + length(b, prompt, sample)))
                for sample in sorted(samples[a, b, prompt])
            ]
            found.setdefault((a, b), {})[prompt] = (math.fsum(ratios) / len(ratios), outcome)
    return found


def _against(outcomes: Outcomes, model: int, other: int) -> list[int]:
    if (found := outcomes.get((model, other))) is not None:
        return list(found.values())
    return [-outcome for outcome in outcomes.get((other, model), {}).values()]


def _counts(outcomes: Iterable[int]) -> tuple[int, int, int]:
    values = list(outcomes)
    return values.count(1), values.count(-1), values.count(0)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
