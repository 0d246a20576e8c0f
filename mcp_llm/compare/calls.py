"""The calls of a comparison, all at once: answers first, then verdicts, under one budget.

A call that fails becomes its own failed result or a counted failed verdict; only cancellation and faults of this
program end the others.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from mcp_llm.errors import Error, SchemaMismatch
from mcp_llm.llm.allowance import Allowance
from mcp_llm.llm.answer import Job
from mcp_llm.llm.generate import Ask, generate
from mcp_llm.types.result import Cost, Generated

from . import expect, judging
from .result import Failure, Result

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from mcp_llm.llm.progress import Progress
    from mcp_llm.llm.routing import Plan
    from mcp_llm.llm.service import Service

    from .afford import Means
    from .asked import Comparison, Contender, Question
    from .cost import Line
    from .judging import Ballot, Panelist

AT_ONCE: Final = 64
"""Calls of one comparison in flight: sixteen models with four samples or prompts each."""


class Calls:
    """The calls of one comparison."""

    def __init__(
        self,
        service: Service,
        ask: Comparison,
        run_id: str,
        means: Means,
        lines: Sequence[Line],
        progress: Progress,
        on_result: Callable[[Result], Awaitable[None]] | None,
        again: bool,
    ) -> None:
        self._service = service
        self._ask = ask
        self._run_id = run_id
        self._means = means
        self._progress = progress
        self._on_result = on_result
        self._again = again
        self._room = anyio.CapacityLimiter(AT_ONCE)
        self._allowance = Allowance(means.usd, service.purse.ledger, run_id)
        self._worst: dict[tuple[str, bool], float | None] = {}
        for line in lines:
            key = (line.target.name, line.verdict)
            limited = means.longest is not None and not line.verdict
            tokens = min(means.longest or line.longest, line.longest) if limited else line.longest
            worst = None if line.base is None else line.usd(tokens)
            self._worst[key] = max(self._worst.get(key) or 0.0, worst) if worst is not None else None
        self._spent: list[Cost] = []

    async def answers(self, questions: Sequence[Question], contenders: Sequence[Contender]) -> list[Result]:
        """Every answer, in the order asked: by prompt, then model, then sample."""
        places = [
            (prompt, model, sample)
            for prompt in range(len(questions))
            for model in range(len(contenders))
            for sample in range(self._ask.samples)
        ]
        found: dict[tuple[int, int, int], Result] = {}
        self._progress.who = f"{len(contenders)} models"

        async def one(place: tuple[int, int, int]) -> None:
            prompt, model, sample = place
            async with self._room:
                result = await self._answer(questions[prompt], contenders[model], prompt, sample)
            found[place] = result
            self._progress.tell(f"{len(found)}/{len(places)} answers")
            if self._on_result is not None:
                await self._on_result(result)

        self._progress.tell(f"0/{len(places)} answers")
        # Every model's first answers start before any model's later ones.
        await _all(one, sorted(places, key=lambda place: (place[2], place[0], place[1])))
        return [found[place] for place in places]

    async def _answer(self, question: Question, contender: Contender, prompt: int, sample: int) -> Result:
        run_id = self._child("answer", prompt, contender.name, sample)
        place: dict[str, Any] = {"prompt": prompt, "sample": sample}
        if contender.plan is None:
            return _failed(contender.name, run_id, contender.error or Error("it cannot be asked"), place)
        ask = self._ask
        call = Ask(
            prompt=question.said,
            system=ask.system,
            context=ask.context,
            json_schema=ask.json_schema,
            temperature=ask.temperature,
            max_tokens=ask.max_tokens if self._means.longest is None else self._means.longest,
            effort=ask.effort,
            timeout_s=ask.timeout_s,
            options=ask.options,
            sampling=ask.sampling,
            principal=ask.principal,
        )
        target = contender.plan.targets[0]
        job = self._job("compare")
        try:
            async with self._allowance.take(self._worst[target.name, False]):
                given = await self._ask_once(call, run_id, contender.plan, job)
        except Error as exc:
            return _failed(contender.name, run_id, exc, place)
        check = None
        if question.expected is not None:
            check = await anyio.to_thread.run_sync(expect.check, question.expected, given.response, given.parsed)
        return Result(**{name: getattr(given, name) for name in Generated.model_fields}, **place, check=check)

    async def _ask_once(self, call: Ask, run_id: str, plan: Plan, job: Job) -> Generated:
        """Ask, unless this run has the answer from before it was interrupted."""
        if self._again:
            found = await self._service.runs.result(run_id, self._ask.principal)
            if found is not None and found["status"] == "finished":
                return Generated.model_validate(found["result"])
        return await generate(self._service, call, run_id=run_id, plan=plan, part_of=job)

    def _job(self, operation: str) -> Job:
        return Job(self._run_id, operation=operation, scopes=self._means.scopes, ahead=self._means.ahead)

    def _child(self, *place: object) -> str:
        """The run id of a call: the same whenever this comparison is gone on with, and nobody else's."""
        return hashlib.sha256(repr((self._run_id, *place)).encode("utf-8", "replace")).hexdigest()[:32]

    async def verdicts(
        self,
        questions: Sequence[Question],
        contenders: Sequence[Contender],
        panel: Sequence[Panelist],
        ballots: Sequence[Ballot],
        results: Sequence[Result],
    ) -> list[tuple[int, str]]:
        """Fill the ballots in; gives (judge, why) of every verdict that failed."""
        answers = {(one.model, one.prompt, one.sample): one for one in results}
        failures: list[tuple[int, str]] = []
        done = 0
        self._progress.who = f"{len(panel)} judge(s)"

        async def one(task: tuple[Ballot, bool]) -> None:
            nonlocal done
            ballot, swapped = task
            pair = [answers[contenders[model].name, ballot.prompt, ballot.sample] for model in (ballot.a, ballot.b)]
            first, second = reversed(pair) if swapped else pair
            judge = panel[ballot.judge]
            paper = judging.paper(self._service, self._ask, questions[ballot.prompt], first, second)
            job = self._job("judge")
            run_id = self._child("judge", ballot.prompt, judge.name, ballot.sample, ballot.a, ballot.b, swapped)
            try:
                async with self._room, self._allowance.take(self._worst[judge.target.name, True]):
                    given = await self._ask_once(paper, run_id, judge.plan, job)
            except Error as exc:
                failures.append((ballot.judge, _why(exc)))
            else:
                self._spent.append(given.cost)
                found = judging.vote(given.parsed, swapped=swapped)
                if swapped:
                    ballot.backward = found
                else:
                    ballot.forward = found
            done += 1
            self._progress.tell(f"{done}/{2 * len(ballots)} verdicts")

        self._progress.tell(f"0/{2 * len(ballots)} verdicts")
        await _all(one, [(ballot, swapped) for ballot in ballots for swapped in (False, True)])
        return failures

    def cost(self, results: Sequence[Result]) -> Cost:
        """Dollars of all answers and verdicts; unknown where one is. What failed calls cost is in the ledger."""
        costs = [*(one.cost for one in results if one.error is None), *self._spent]
        if any(one.usd is None for one in costs):
            return Cost()
        sources = {one.source for one in costs}
        return Cost(
            usd=sum(one.usd or 0.0 for one in costs), source=sources.pop() if len(sources) == 1 else "several sources"
        )


async def _all(work: Callable[[Any], Coroutine[Any, Any, None]], items: Sequence[Any]) -> None:
    """Do it for all at once; one that raises ends the others, and its error is raised as it is."""
    try:
        async with anyio.create_task_group() as tasks:
            for item in items:
                tasks.start_soon(work, item)
    except BaseExceptionGroup as group:
        inner: BaseException = group
        while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
            inner = inner.exceptions[0]
        raise inner from None


def _failed(name: str, run_id: str, error: Error, place: dict[str, Any]) -> Result:
    said = error.text if isinstance(error, SchemaMismatch) else getattr(error, "partial", None)
    return Result(
        response=said or "",
        model=name,
        provider=getattr(error, "provider", None),
        finish_reason="error",
        run_id=run_id,
        error=Failure(kind=error.kind, message=str(error)),
        **place,
    )


def _why(error: Error) -> str:
    return "its verdict was not in the form asked for" if isinstance(error, SchemaMismatch) else str(error)[:300]
