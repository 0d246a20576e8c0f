"""Several models asked the same at once: answers side by side, checked, judged, and what may be concluded from them.

One model that fails is that model's result. Nothing is asked before the cost is known to be allowed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

import anyio.to_thread

from mcp_llm.errors import (
    BudgetExceeded,
    ConfigError,
    Denied,
    Error,
    InvalidInput,
    MissingKey,
    ProviderError,
    TooLarge,
    UnknownModel,
    UnknownProvider,
    Unsupported,
)
from mcp_llm.llm.progress import Progress

from . import agreement, asked, cost, evidence, expect, judging, table
from .afford import afford
from .calls import Calls
from .frontier import dominated
from .result import Compared, Quote, Result, Standing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mcp_llm.llm.ledger import Scope
    from mcp_llm.llm.service import Service

    from .asked import Comparison, Contender, Question
    from .cost import Line
    from .evidence import Outcomes
    from .judging import Ballot, Panelist
    from .result import Check, Failure, Judging, Rate

KIND = "compare_models"


async def compare(
    service: Service,
    ask: Comparison,
    *,
    run_id: str | None = None,
    progress: Progress | None = None,
    on_result: Callable[[Result], Awaitable[None]] | None = None,
    again: bool = False,
    scopes: Sequence[Scope] = (),
) -> Compared:
    """Compare. `on_result` gets each answer as it lands. `again`: go on with this run, keeping the answers it has.

    `scopes` are budgets of whatever this comparison is part of; its calls are held to them too.

    Raises InvalidInput, BudgetExceeded when the likely cost is over the budget, and, when every model failed, an error
    that names all of them. Without a budget, what will probably cost more than the settings' `budget.confirm_usd` is
    only quoted (`quoted` is True).
    """
    progress = progress or Progress()
    run_id = run_id or uuid4().hex
    started, began = time.time_ns() // 1_000_000, time.monotonic()
    asked.check(ask)
    questions, warnings = await asked.questions(service, ask)
    contenders, words = await asked.contenders(service, ask, asked.needs(questions))
    warnings += words
    panel, unjudged = await judging.panel(service, ask, contenders)
    if ask.judge and unjudged:
        warnings.append(
            f"no judge for {'; '.join(unjudged)}: each one that can be asked is a relative of one of the two. Name a "
            "model of another family as `judge`."
        )
    lines = _lines(service, ask, questions, contenders, panel)
    quote = cost.quote(lines)
    if quote.answers + quote.judgements > asked.MAX_CALLS:
        raise InvalidInput(f"{cost.said(quote)}, more than the {asked.MAX_CALLS:,} of one comparison: take fewer")
    if ask.dry_run or _too_dear(service, ask, quote):
        return _quoted(service, ask, quote, run_id, warnings)
    means = await afford(service, ask, run_id, lines, scopes, again=again)
    if means.longest is not None:
        warnings.append(
            f"`max_tokens` was set to {means.longest:,} for all models so that the whole cannot cost over "
            f"${means.usd:g}"
        )
    calls = Calls(service, ask, run_id, means, lines, progress, on_result, again)
    try:
        results = await calls.answers(questions, contenders)
        if not any(one.error is None for one in results):
            raise _all_failed(results)
        ballots: list[Ballot] = []
        judged: Judging | None = None
        if panel:
            given = [
                (index, one.prompt, one.sample)
                for index, contender in enumerate(contenders)
                for one in results
                if one.model == contender.name and one.error is None
            ]
            ballots = judging.ballots(panel, given, ask.samples)
            failures = await calls.verdicts(questions, contenders, panel, ballots, results)
            at = {(one.model, one.prompt, one.sample): len(one.response) for one in results}
            judged = await anyio.to_thread.run_sync(
                lambda: evidence.judging(
                    ballots, panel, failures, unjudged, lambda model, *place: at[contenders[model].name, *place]
                )
            )
        compared = await anyio.to_thread.run_sync(
            lambda: _concluded(ask, results, contenders, ballots, judged, quote, run_id)
        )
    except BaseException as exc:
        service.runs.failed(run_id, KIND, ask.principal, started, ", ".join(ask.models), exc)
        raise
    finally:
        means.release(service)
    compared = compared.model_copy(
        update={
            "cost": calls.cost(results),
            "latency_ms": round((time.monotonic() - began) * 1000),
            "warnings": tuple(dict.fromkeys([*warnings, *_noticed(compared)])),
        }
    )
    compared = compared.model_copy(update={"response": table.summary(compared)})
    whole = compared.model_copy(update={"response": table.whole(compared)})
    data = whole.model_dump_json(exclude_none=True)
    prompts = [one.text[: asked.KEPT] for one in questions]
    service.runs.kept(run_id, KIND, ask.principal, started, ", ".join(ask.models), data, {"prompts": prompts})
    return compared


def _lines(
    service: Service,
    ask: Comparison,
    questions: Sequence[Question],
    contenders: Sequence[Contender],
    panel: Sequence[Panelist],
) -> list[Line]:
    targets = [one.plan.targets[0] for one in contenders if one.plan is not None]
    return cost.lines(service, ask, questions, targets, [(one.target, len(one.pairs)) for one in panel])


def _too_dear(service: Service, ask: Comparison, quote: Quote) -> bool:
    threshold = service.config.settings.budget.confirm_usd
    if ask.budget_usd is not None or threshold is None or quote.usd_likely is None:
        return False
    return quote.usd_likely > threshold


def _quoted(service: Service, ask: Comparison, quote: Quote, run_id: str, warnings: list[str]) -> Compared:
    words = cost.said(quote)
    words = f"{words[0].upper()}{words[1:]}."
    if not ask.dry_run:
        threshold = service.config.settings.budget.confirm_usd
        words += f" That is over the ${threshold:g} that may be spent unasked, so nothing was asked."
    words += " To make it, call again with `budget_usd`."
    return Compared(response=words, quote=quote, quoted=True, run_id=run_id, warnings=tuple(warnings))


def _all_failed(results: Sequence[Result]) -> Error:
    """One error for all: that nothing was answered, then why, model by model."""
    first: dict[str, Failure] = {}
    for one in results:
        if one.error is not None:
            first.setdefault(one.model, one.error)
    told = "; ".join(f"{name}: {failure.message[:300]}" for name, failure in first.items())
    words = f"none of the {len(first)} models answered. {told}"
    kinds = {failure.kind for failure in first.values()}
    if kinds == {"budget"}:
        return BudgetExceeded(words, limit="usd")
    if kinds <= {one.kind for one in (ConfigError, MissingKey, UnknownModel, UnknownProvider, Unsupported)}:
        return ConfigError(words)
    if kinds <= {one.kind for one in (InvalidInput, Denied, TooLarge)}:
        return InvalidInput(words)
    return ProviderError(words, retry=False)


def _concluded(
    ask: Comparison,
    results: Sequence[Result],
    contenders: Sequence[Contender],
    ballots: Sequence[Ballot],
    judged: Judging | None,
    quote: Quote,
    run_id: str,
) -> Compared:
    """Everything that follows from the answers and the verdicts."""
    names = [one.name for one in contenders]
    checks: dict[tuple[int, int], list[Check | None]] = {}
    place = {name: model for model, name in enumerate(names)}
    for one in results:
        checks.setdefault((place[one.model], one.prompt), []).append(one.check)
    checked = {key: share for key, own in sorted(checks.items()) if (share := expect.passes(own)) is not None}
    by_judges, by_checks = evidence.of_ballots(ballots), evidence.of_checks(checked)
    outcomes: Outcomes = by_judges or by_checks
    verdict = evidence.verdict(outcomes, names, "judges" if by_judges else "checks")
    rates = evidence.win_rates(by_judges)
    rows = [_standing(contender, model, results, checked, rates) for model, contender in enumerate(contenders)]
    better = _dominated(rows, judged=bool(by_judges))
    rows = [row.model_copy(update={"dominated_by": better.get(row.model, ())}) for row in rows]
    front = tuple(row.model for row in rows if row.answers and not row.dominated_by) if better else None
    return Compared(
        response="",
        results=tuple(results),
        models=tuple(rows),
        verdict=verdict,
        pairs=evidence.pairs(outcomes, names),
        agreement=agreement.agreement(results, names),
        judging=judged,
        frontier=front,
        quote=quote,
        run_id=run_id,
    )


def _standing(
    contender: Contender,
    model: int,
    results: Sequence[Result],
    checked: dict[tuple[int, int], float],
    rates: dict[int, Rate],
) -> Standing:
    own = [one for one in results if one.model == contender.name]
    good = [one for one in own if one.error is None]
    shares = [share for (index, _), share in checked.items() if index == model]
    return Standing(
        model=contender.name,
        target=contender.plan.targets[0].name if contender.plan else None,
        answers=len(good),
        failed=len(own) - len(good),
        usd=_mean([one.cost.usd for one in good]),
        seconds=_mean([None if one.latency_ms is None else one.latency_ms / 1000 for one in good]),
        output_tokens=_mean([one.usage.output for one in good]),
        passed=evidence.rate(sum(shares), len(shares)) if shares else None,
        win_rate=rates.get(model),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean, None where one of them is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _dominated(rows: Sequence[Standing], *, judged: bool) -> dict[str, tuple[str, ...]]:
    """By win rate, else by checks; empty where there is neither."""
    quality = {row.model: found.value for row in rows if (found := row.win_rate if judged else row.passed) is not None}
    if not quality:
        return {}
    return dominated({row.model: (row.usd, quality.get(row.model), row.seconds) for row in rows})


def _noticed(compared: Compared) -> list[str]:
    """What a careful reader would want to know before believing the verdict."""
    words: list[str] = []
    judged = compared.judging
    if judged is not None:
        if judged.flips is not None and judged.flips.value >= evidence.SUSPECT_FLIPS:
            words.append(
                f"the judges changed their verdict in {judged.flips.value:.0%} of the pairs when the answers changed "
                "places: such pairs count as ties, and the rest deserves doubt"
            )
        if judged.length is not None and judged.length.suspect:
            words.append(
                f"the longer answer won {judged.length.longer_won:.0%} of the decided pairs: the verdict may be about "
                "length; say in `rubric` what counts"
            )
        if failed := sum(one.failed for one in judged.judges):
            words.append(
                f"{failed} of {sum(one.asked for one in judged.judges)} judgements failed and count for nothing"
            )
    cut = sum(one.finish_reason == "length" for one in compared.results if one.error is None)
    if cut:
        words.append(f"{cut} answer(s) were cut off at the token limit: raise `max_tokens`")
    return words
