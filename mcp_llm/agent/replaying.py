"""A recorded run made once more, offline: the same loop over the recorded replies and the recorded tool results.

No provider is asked, no server started, no tool called, nothing written but into memory. What came from outside is
taken from the record (`record.py`), so that what is left to differ is what this program does with it.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from mcp_llm.catalog.find import Target
from mcp_llm.catalog.schema import Facts, Provider
from mcp_llm.errors import Error, InvalidInput
from mcp_llm.llm.backends import Backends
from mcp_llm.llm.client import LLM
from mcp_llm.llm.learned import Learned
from mcp_llm.llm.ledger import Ledger
from mcp_llm.llm.money import Purse
from mcp_llm.llm.routing import Plan
from mcp_llm.runs.ending import failure
from mcp_llm.runs.history import History
from mcp_llm.runs.recorder import Recorder
from mcp_llm.runs.recording import answered
from mcp_llm.runs.replay import Departed, Difference, RecordEnds, ReplayBackend, shown, steps
from mcp_llm.runs.store import RunStore
from mcp_llm.settings import Agents, Settings, Telemetry
from mcp_llm.store.sqlite import Store
from mcp_llm.types.chat import ChatRequest
from mcp_llm.types.events import Compacted, ErrorEvent, Finish, Resumed, Start, ToolStart
from mcp_llm.types.message import Value

from . import compaction, operation
from .calls import Calls
from .limits import Meter
from .loop import Loop
from .prepare import opening
from .record import Answered, Record
from .task import BOUND, DELEGATE, KIND, Limits, Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from mcp_llm.llm.service import Service
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.recording import Recording
    from mcp_llm.runs.replay import Step
    from mcp_llm.types.message import Message

    from .task import AgentResult

KINDS: Final = (KIND, BOUND, DELEGATE)
_NAME: Final = "replay"
SILENT: Final = Telemetry(spans=False)
_NO_LIMIT: Final = Limits(seconds=10.0**9)
_COMPARED: Final = ("response", "parsed", "finish_reason", "stop_reason", "turns", "calls")


class Replayed(Value):
    """How a recorded run went when it was made again. `steps` are its model calls, `replayed` those that were reached.

    `differences` are empty exactly where it is `identical`; `ended` says in words how both ended. `children` are the
    runs of its delegates, each made again by itself.
    """

    run_id: str
    identical: bool
    steps: int
    replayed: int
    calls: int
    ended: str
    differences: tuple[Difference, ...] = ()
    children: tuple[Replayed, ...] = ()


async def replay(service: Service, recording: Recording) -> Replayed:
    """Make the run again and compare. Raises InvalidInput for a run that keeps no steps (see `check`)."""
    check(recording)
    children = [await replay(service, child) for child in recording.children if child.header.kind in KINDS]
    own = await _replay(service, recording)
    same = own.identical and all(child.identical for child in children)
    return own.model_copy(update={"children": tuple(children), "identical": same})


def check(recording: Recording) -> None:
    """Raise InvalidInput for what cannot be made again."""
    head = recording.header
    if head.kind not in KINDS:
        raise InvalidInput(
            f"run {head.id} is of kind {head.kind}: its answer is kept, but not what the model was asked step by step, "
            f"so there is nothing to replay. {_instead(recording)}"
        )
    if not recording.events:
        raise InvalidInput(f"run {head.id} has no events: it ended before its first step")


async def _replay(service: Service, recording: Recording) -> Replayed:
    found = steps(recording.events)
    backend = ReplayBackend(found)
    differences: list[Difference] = []
    async with _bench(service, recording, found, backend) as (loop, runs):
        outcome: AgentResult | Error
        try:
            outcome = await operation.answered(loop, task_of(recording).json_schema, time.monotonic())
        except Error as exc:
            outcome = exc
        await loop.journal.settled()
        again = steps(await runs.events(loop.journal.run_id))
    for one, other in zip(found[: backend.asked], again, strict=False):
        differences += _calls(one, other)
    if isinstance(outcome, Departed):
        differences.append(outcome.difference)
    elif not isinstance(outcome, RecordEnds) or not _cut_off(recording, found, backend):
        differences += _ends(recording, outcome, loop.meter)
    return Replayed(
        run_id=recording.id,
        identical=not differences,
        steps=len(found),
        replayed=backend.asked,
        calls=sum(len(step.tools) for step in again),
        ended=_told(recording),
        differences=tuple(differences),
    )


def _instead(recording: Recording) -> str:
    below = [one.id for one in recording.all() if one.header.kind in KINDS]
    return f"What its agents did can be: {', '.join(below[:10])}" if below else "Runs of agents can be replayed."


def task_of(recording: Recording) -> Task:
    """What was to be done. Raises InvalidInput where the file says no such thing."""
    try:
        return Task.model_validate(recording.header.request)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInput(f"run {recording.id} holds no task of an agent: `{where}`: {first['msg']}") from None


@asynccontextmanager
async def _bench(
    service: Service, recording: Recording, found: Sequence[Step], backend: ReplayBackend
) -> AsyncIterator[tuple[Loop, RunStore]]:
    """A loop whose model, tools and people are the record; its journal and its money live in memory."""
    store = Store.open(None)
    try:
        runs = RunStore(store)
        settings = Settings(ledger=False, telemetry=SILENT)
        backends = Backends()
        backends.register(_name(found), backend)
        purse = Purse(settings, Ledger(store))
        llm = LLM(settings, service.access, backends, purse, Learned(store), _no_transport)
        offline = replace(service, llm=llm, purse=purse, backends=backends)
        task = task_of(recording)
        journal = await runs.create(KIND, {}, task.principal)
        await journal.append(Start(prompt=task.prompt, kind=KIND))
        yield _loop(offline, runs, journal, recording, found, task), runs
        await journal.release()
    finally:
        await store.aclose()


def _name(found: Sequence[Step]) -> str:
    """Errors name the provider: the one that ended the run counts."""
    return (found[-1].provider if found else None) or _NAME


def _no_transport() -> Any:
    raise Error("a replay asks nobody")


def _loop(
    service: Service, runs: RunStore, journal: Journal, recording: Recording, found: Sequence[Step], task: Task
) -> Loop:
    provider = Provider(name="Replay", base_url="code://", wires={"chat": "code"}, open=True)
    asked = recording.header.model or (found[0].model if found else None) or _NAME
    target = Target(provider, _name(found), asked, None, Facts(), "code", None)
    first = _first(task, found)
    meter = Meter(journal.run_id, _NO_LIMIT)
    record = Record(found)
    loop = Loop(
        service,
        runs,
        journal,
        Recorder(journal),
        Plan(asked, "recorded", [target]),
        (found[0].asked.settings if found else None) or ChatRequest(messages=()),
        first,
        meter,
        History(),
        before=record.before,
        shorten=compaction.force,
    )
    record.append = loop.append
    loop.calls = Calls(
        {},
        record,
        Agents(calls_a_turn=10**6),
        meter,
        service.purse.ledger,
        Answered(runs, journal, 0.0, loop.append, record=record),
        append=loop.append,
        add=loop.add,
        note=journal.note,
        trace=lambda _: {},
        handles=record.handles,
        telemetry=SILENT,
    )
    return loop


def _first(task: Task, found: Sequence[Step]) -> tuple[Message, ...]:
    """What is said first: the task's words by today's rules, after the history that it went on with."""
    before = found[0].request.messages[:-1] if found and task.continue_from is not None else ()
    return (*before, opening(task))


def _calls(recorded: Step, found: Step) -> list[Difference]:
    """Where the calls of a step are not what they were."""
    given: list[Difference] = []
    made = {end.call_id: end for end in found.tools}
    for end in recorded.tools:
        other = made.get(end.call_id)
        if other is None:
            given.append(_difference(recorded, f"call of {end.tool}", "made", "not made"))
            continue
        for where in ("tool", "args", "result", "is_error"):
            one, two = getattr(end, where), getattr(other, where)
            if one != two and (where != "args" or one is not None):  # a call that was refused unread
                given.append(_difference(recorded, f"{where} of {end.tool} ({end.call_id})", shown(one), shown(two)))
    return given


def _difference(step: Step, where: str, recorded: str, found: str) -> Difference:
    return Difference(step=step.index, where=where, recorded=recorded, found=found)


def _cut_off(recording: Recording, found: Sequence[Step], backend: ReplayBackend) -> bool:
    """Whether the record itself stops where the replay ran out of it: nothing was answered after."""
    last = recording.events[-1]
    answered_all = backend.asked == sum(step.response is not None for step in found)
    return answered_all and not isinstance(last, Finish)


def _ends(recording: Recording, outcome: AgentResult | Error, meter: Meter) -> list[Difference]:
    """Where the end is not what it was."""
    last = recording.events[-1]
    if not isinstance(last, Finish | ErrorEvent):
        return []  # it was cut off before its end was written
    if isinstance(outcome, Error):
        told = failure(outcome)
        if isinstance(last, ErrorEvent) and (last.kind, last.error) == (told.kind, told.error):
            return []
        return [_end(_told(recording), f"error {told.kind}: {told.error}")]
    if not isinstance(last, Finish):
        return [_end(_told(recording), f"answer: {shown(outcome.response)}")]
    stored, now = answered(recording), outcome.model_dump(mode="json")
    differs = [
        Difference(step=None, where=name, recorded=shown(stored.get(name)), found=shown(now.get(name)))
        for name in _COMPARED
        if name in stored and stored[name] != now.get(name)
    ]
    # Summaries of old history are paid for outside the steps, a resumed run lost what it had counted so, and steps that
    # were taken from another run count for nothing.
    exact = not task_of(recording).rerun and not any(isinstance(e, Compacted | Resumed) for e in recording.events)
    used = meter.usage.model_dump(mode="json", exclude_none=True)
    if exact and isinstance(stored.get("usage"), dict) and stored["usage"] != used:
        differs.append(Difference(step=None, where="usage", recorded=shown(stored["usage"]), found=shown(used)))
    return differs


def _end(recorded: str, found: str) -> Difference:
    return Difference(step=None, where="the end", recorded=recorded, found=found)


def _told(recording: Recording) -> str:
    last = recording.events[-1]
    if isinstance(last, Finish):
        return f"answer ({last.stop_reason or 'stop'})"
    if isinstance(last, ErrorEvent):
        return f"error {last.kind}: {last.error}"
    under = [event.tool for event in recording.events if isinstance(event, ToolStart)]
    return "cut off" + (f", last tool {under[-1]}" if under else "")
