"""Runs a plan as one run: every task starts when what it stands on has ended, what it gave is stored before it is used.

The journal is the state: going on after a crash is the same work over the events there are. A finished task is never
done again; one that was under way and may have changed something is asked about, and not repeated by itself.
"""

from __future__ import annotations

import heapq
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio

from mcp_llm.errors import Error
from mcp_llm.runs.ending import first
from mcp_llm.types.events import TaskEnd, TaskStart, TextEvent

from . import attempts, batch
from .pen import Pen
from .schedule import Schedule
from .schema import TaskResult
from .template import Filling, look

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from anyio.abc import TaskGroup

    from mcp_llm.runs.journal import Journal
    from mcp_llm.types.events import Event

    from .attempts import Outcome, Work
    from .plan import Plan, Step
    from .template import Reference

KEPT: Final = 64 * 1024 * 1024
"""Characters that the results of one run may have together."""
SAID: Final = 200
"""Characters of a result in the text that a waiting person is shown."""


@dataclass(slots=True)
class Graph:
    """One run under way. `ended` are the tasks' last events by task, `items` those of files by (task, path)."""

    plan: Plan
    inputs: dict[str, Any]
    work: Work
    journal: Journal
    parallel: int
    ended: dict[str, TaskEnd] = field(default_factory=dict)
    items: dict[tuple[str, str], TaskEnd] = field(default_factory=dict)
    begun: dict[tuple[str, str | None], TaskStart] = field(default_factory=dict)
    kept: int = 0
    schedule: Schedule = field(init=False)
    _queue: list[tuple[int, int, int, Callable[[], Coroutine[Any, Any, None]]]] = field(default_factory=list)
    _running: int = 0
    _count: int = 0
    _tasks: TaskGroup = field(init=False)
    _pen: Pen = field(init=False)

    def __post_init__(self) -> None:
        self.schedule = Schedule(self.plan.steps)

    def replay(self, events: Iterable[Event]) -> None:
        """Stand where the run stood."""
        for event in events:
            if isinstance(event, TaskStart):
                self.begun[event.task, event.item] = event
            elif isinstance(event, TaskEnd):
                self._take(event)

    async def go(self) -> None:
        """Do all that can be done. What is cut off by cancellation has no end yet: see `close`."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks, self._pen = tasks, Pen(self.journal, tasks)
                for event in list(self.ended.values()):
                    self._end_others(event)
                self._fill()
        except BaseExceptionGroup as group:
            raise first(group) from None
        finally:
            await self._pen.close()

    async def close(self, why: str) -> None:
        """Give every task that has no end one, the run's time being over."""
        events = []
        for name in self.schedule.left:
            begun = self.begun.get((name, None))
            event = TaskEnd(task=name, status="skipped", error=why)
            if begun is not None:
                result = self._batched(name, begun.args["files"]) if self._is_batch(name) else None
                event = TaskEnd(task=name, status="cancelled", result=result, error=why, attempts=begun.attempt)
            events.append(event)
        if events:
            await self.journal.append(*events)
        for event in events:
            self._keep(event)

    # Starting what is ready

    def _fill(self) -> None:
        while (name := self.schedule.take()) is not None:
            step = self.plan.steps[name]
            self._push(step, self._batch if self._is_batch(name) else self._one)
        while self._queue and self._running < self.parallel:
            self._running += 1
            self._tasks.start_soon(heapq.heappop(self._queue)[3])

    def _push(self, step: Step, function: Callable[[Step], Awaitable[None]]) -> None:
        self._count += 1

        async def begin() -> None:
            try:
                await function(step)
            finally:
                self._running -= 1
            self._fill()

        heapq.heappush(self._queue, (-step.task.priority, step.number, self._count, begin))

    # Doing it

    async def _one(self, step: Step) -> None:
        if (event := self._skipped(step)) is None:
            event = self._event(step, await self._attempt(step, None))
        self._end(event)

    async def _attempt(self, step: Step, path: str | None) -> Outcome:
        def resolve(one: Reference) -> Any:
            return look(one, batch.told(path or "")) if one.root == "file" else self.value(one)

        key = (step.task.id, path)
        outcome = await attempts.made(self.work, step, path, Filling(resolve), self.begun.get(key), self._begin)
        if self.kept + outcome.size > KEPT:
            outcome = outcome.without(f"the results have over {KEPT // 1024 // 1024} MiB together")
        self.kept += outcome.size
        return outcome

    async def _begin(self, event: TaskStart) -> None:
        """Write that it is about to begin: before it does."""
        await self._pen.append(event)
        self.begun[event.task, event.item] = event
        self.work.host.tell(f"{event.task}{f' {event.item}' if event.item else ''}: {event.method}")

    def _skipped(self, step: Step) -> TaskEnd | None:
        """The end of a task that its `when` keeps from beginning."""
        if (step.task.id, None) in self.begun:
            return None  # it was so when it began
        wanted = step.condition
        try:
            if wanted.holds(None if wanted.reference is None else self.value(wanted.reference)):
                return None
        except Error as exc:
            return TaskEnd(task=step.task.id, status="failed", error=str(exc), kind=exc.kind)
        return TaskEnd(task=step.task.id, status="skipped", error=f"`when: {step.task.when}` was not so")

    async def _batch(self, step: Step) -> None:
        event = self._skipped(step)
        if event is None:
            try:
                paths = await self._files(step)
            except Error as exc:
                event = TaskEnd(task=step.task.id, status="failed", error=str(exc), kind=exc.kind)
            else:
                event = await self._all(step, paths)
        self._end(event)

    async def _files(self, step: Step) -> list[str]:
        """The batch's files: those that it began with, where it was begun before."""
        task = step.task
        if (begun := self.begun.get((task.id, None))) is not None:
            return list(begun.args["files"])
        filling = Filling(self.value)
        found = await batch.files(self.work.host.service, filling.fill(task.directory), filling.fill(task.pattern))
        method = task.call.method
        await self._begin(TaskStart(task=task.id, method=method, args={"files": found}, repeatable=True))
        return found

    async def _all(self, step: Step, paths: list[str]) -> TaskEnd:
        """Every file as a task of its own; this one holds no place among the running ones meanwhile."""
        name, done = step.task.id, anyio.Event()
        left = dict.fromkeys(path for path in paths if (name, path) not in self.items)

        async def one(step: Step, path: str) -> None:
            event = self._event(step, await self._attempt(step, path), path)
            self._pen.put(event)
            self.items[name, path] = event
            del left[path]
            if not left:
                done.set()

        started = time.monotonic()
        for path in list(left):
            self._push(step, lambda step, path=path: one(step, path))  # type: ignore[misc]  # the path of this turn
        if left:
            self._running -= 1
            self._fill()
            await done.wait()
            self._running += 1
        result = self._batched(name, paths)
        lost = result["failed"] == len(paths)
        return TaskEnd(
            task=name,
            status="failed" if lost else "completed",
            result=result,
            error=f"all {len(paths)} files failed; the first: {result['results'][0]['error']}" if lost else None,
            attempts=1,
            latency_ms=round((time.monotonic() - started) * 1000),
        )

    # What came of it

    def _is_batch(self, name: str) -> bool:
        return self.plan.steps[name].task.type == "batch"

    def _batched(self, name: str, paths: list[str]) -> dict[str, Any]:
        """The result of a batch, as far as its files have ended."""
        ends = [end for path in paths if (end := self.items.get((name, path))) is not None]
        failed = sum(end.status != "completed" for end in ends)
        found = [{"file": end.item, "status": end.status, "result": end.result, "error": end.error} for end in ends]
        return {"results": found, "files": len(paths), "completed": len(ends) - failed, "failed": failed}

    def _event(self, step: Step, outcome: Outcome, path: str | None = None) -> TaskEnd:
        return TaskEnd(
            task=step.task.id,
            item=path,
            status=outcome.status,
            result=outcome.result,
            error=outcome.error,
            kind=outcome.kind,
            attempts=outcome.attempts,
            latency_ms=outcome.latency_ms,
            usage=outcome.usage,
            cost=outcome.cost,
            metadata=outcome.metadata or None,
        )

    def _end(self, event: TaskEnd) -> None:
        """A task has ended. It is on its way to the disk, ahead of the beginning of whatever uses it."""
        self._pen.put(event)
        self._keep(event)
        self._end_others(event)

    def _keep(self, event: TaskEnd) -> None:
        self.ended[event.task] = event.model_copy(update={"ts": event.ts or time.time_ns() // 1_000_000})
        self.journal.note(TextEvent(text=f"{event.task} {event.status}{_said(event)}\n"))

    def _end_others(self, event: TaskEnd) -> None:
        """Tell the graph; those that can never begin now end too."""
        for name, why in self.schedule.end(event.task, event.status):
            if name not in self.ended:
                skipped = TaskEnd(task=name, status="skipped", error=why)
                self._pen.put(skipped)
                self._keep(skipped)

    def _take(self, event: TaskEnd) -> None:
        if event.item is None:
            self.ended[event.task] = event
        else:
            self.items[event.task, event.item] = event
        # As `_attempt` has counted it: the result of a batch is that of its files.
        if event.result is not None and (event.item is not None or not self._is_batch(event.task)):
            self.kept += len(json.dumps(event.result))

    def value(self, one: Reference) -> Any:
        """What a reference to an input or a task means now. Raises UnknownReference."""
        if one.root == "inputs":
            return look(one, self.inputs)
        end = self.ended.get(one.root)
        return look(one, end.result if end is not None else None)

    def results(self) -> tuple[TaskResult, ...]:
        """What came of each task, in the order of the file."""
        steps = sorted(self.plan.steps.values(), key=lambda step: step.number)
        return tuple(self._result(step) for step in steps if step.task.id in self.ended)

    def _result(self, step: Step) -> TaskResult:
        end = self.ended[step.task.id]
        begun = self.begun.get((step.task.id, None))
        took = None if end.latency_ms is None else end.latency_ms / 1000
        completed = end.ts / 1000 if begun is not None else None
        more = {"method": step.task.call.method, "attempts": end.attempts, "tags": list(step.task.tags) or None}
        metadata = {name: value for name, value in {**more, **(end.metadata or {})}.items() if value is not None}
        if end.kind is not None:
            metadata["error_kind"] = end.kind
        return TaskResult(
            task_id=end.task,
            status=end.status,
            result=end.result,
            error=end.error,
            started_at=None if completed is None or took is None else completed - took,
            completed_at=completed,
            duration_seconds=took,
            metadata=metadata,
        )


def _said(event: TaskEnd) -> str:
    words = event.error
    if words is None and isinstance(event.result, dict):
        words = event.result.get("response")
    words = " ".join(str(words).split()) if words else ""
    return f": {words[:SAID]}{'...' if len(words) > SAID else ''}" if words else ""
