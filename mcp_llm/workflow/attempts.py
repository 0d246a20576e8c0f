"""One call of a task, as often as its `retry` allows: each attempt is written down before it is made."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import anyio

from mcp_llm.errors import Error, ProviderError, Timeout, TooLarge, ToolFailed
from mcp_llm.runs.approval import verdict
from mcp_llm.toolsets.base import Tool
from mcp_llm.toolsets.check import shallow
from mcp_llm.types.chat import ToolSpec
from mcp_llm.types.events import TaskStart
from mcp_llm.types.message import ToolCall

from .method import Call
from .template import MOST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.runs.approval import Approvals
    from mcp_llm.types.result import Cost, Tokens

    from .allowance import Allowance
    from .method import Done, Host
    from .plan import Step
    from .schema import Retry
    from .template import Filling

logger = logging.getLogger(__name__)

SHOWN: Final = 16 * 1024
"""Characters of arguments that the journal keeps of an attempt; longer ones can be filled in again from the results."""
DEEPEST: Final = 128
"""Levels of a result; twice as many and nobody can read the event again."""
UNKNOWN: Final = (
    "it may have been done: the process ended before its result was stored. It was not repeated, since it may change "
    "something; find out whether it was done, and run what is missing"
)


@dataclass(slots=True)
class Work:
    """What all calls of one run share."""

    host: Host
    run_id: str
    principal: str
    allowance: Allowance
    approvals: Approvals
    trace: dict[str, Any] | None = None


@dataclass(slots=True)
class Outcome:
    """What came of it; `size` is how many characters the result has as JSON."""

    status: Literal["completed", "failed"]
    result: Any = None
    error: str | None = None
    kind: str | None = None
    attempts: int = 0
    latency_ms: int | None = None
    usage: Tokens | None = None
    cost: Cost | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    size: int = 0

    def without(self, words: str) -> Outcome:
        """The same, failed because its result is too large to be kept. It was paid all the same."""
        return replace(self, status="failed", result=None, error=words, kind=TooLarge.kind, size=0)


async def made(
    work: Work,
    step: Step,
    path: str | None,
    filling: Filling,
    before: TaskStart | None,
    begin: Callable[[TaskStart], Awaitable[None]],
) -> Outcome:
    """The outcome. `before` is the attempt that a process now gone has begun, `begin` writes down the next one."""
    task, method = step.task, step.method
    number = before.attempt if before is not None else 1
    started = time.monotonic()
    try:
        filled = filling.fill(task.call.parameters)
        parameters = method.read(filled)
        unsure = before if before is not None and not before.repeatable else None
        if unsure is not None and not await _wanted(work, step, unsure, filled):
            return Outcome("failed", error=UNKNOWN, kind="may_have_run", attempts=number)
        if (refused := await _refusal(work, step, path, parameters, asked=unsure is not None)) is not None:
            return Outcome("failed", error=refused, kind=ToolFailed.kind, attempts=number)
    except Error as exc:
        return Outcome("failed", error=str(exc), kind=exc.kind)
    shown = filled if len(json.dumps(filled)) <= SHOWN else None
    why: str | None = None
    while True:
        await begin(
            TaskStart(
                task=task.id,
                item=path,
                method=task.call.method,
                args=shown,
                attempt=number,
                repeatable=method.repeatable,
                why=why,
            )
        )
        call = Call(
            work.host,
            work.run_id,
            work.principal,
            task.id,
            _child(work.run_id, task.id, path, number),
            parameters,
            work.allowance,
            work.approvals,
            again=before is not None,
            trace=work.trace,
        )
        error: Error
        try:
            done = await _within(step, call)
            took = round((time.monotonic() - started) * 1000)
            return _kept(
                Outcome("completed", done.result, None, None, number, took, done.usage, done.cost, done.metadata)
            )
        except Error as exc:
            error = exc
        except Exception as exc:
            logger.exception("the task %s failed", task.id)
            error = Error(f"mcp-llm itself failed ({type(exc).__name__}); its log on stderr says where")
        if number >= task.retry.max_attempts or not _may_retry(error):
            took = round((time.monotonic() - started) * 1000)
            return _kept(Outcome("failed", getattr(error, "result", None), str(error)[:4000], error.kind, number, took))
        why = str(error)[:500]
        await anyio.sleep(delay(task.retry, number, error, random.random()))
        number, before = number + 1, None


async def _within(step: Step, call: Call) -> Done:
    """The call, within the task's own time. Raises what it raises."""
    seconds = step.task.timeout
    with anyio.move_on_after(seconds) as scope:
        return await step.method.call(call)
    assert scope.cancelled_caught
    raise Timeout(f"the task's timeout of {seconds:g} s was over", retry=step.method.repeatable)


def _kept(outcome: Outcome) -> Outcome:
    """The outcome, failed where its result is more than can be stored and read again."""
    if outcome.result is None:
        return outcome
    if not shallow(outcome.result, DEEPEST):
        return outcome.without(f"its result is nested deeper than {DEEPEST} levels: let it give a flatter one")
    outcome.size = len(json.dumps(outcome.result))
    if outcome.size > MOST:
        return outcome.without(f"its result has over {MOST // 1024 // 1024} MiB: let it give less")
    return outcome


def _may_retry(error: Error) -> bool:
    return error.may_retry if isinstance(error, ProviderError) else error.retryable


def delay(retry: Retry, number: int, error: Error, luck: float) -> float:
    """Seconds after the n-th attempt. Full jitter: anything up to the longest wait (`luck` is from 0 to 1).

    It is never less than the provider asked for, as long as that is within `max_delay`.
    """
    longest = retry.longest(number)
    asked = min(getattr(error, "retry_after", None) or 0.0, retry.max_delay)
    return max(asked, longest * luck if retry.jitter else longest)


async def _wanted(work: Work, step: Step, before: TaskStart, filled: dict[str, Any]) -> bool:
    """Whether a person says that a call which may have been made is to be made again: this once, not ever after."""
    method, path = step.task.call.method, before.item
    what = f"{step.task.id} ({method})" + (f" for {path}" if path else "")
    asked = {
        "ask": "repeat_task",
        "message": f"The task {what} may have been done by a process that is gone. Do it again? Answer true or false.",
        "task": step.task.id,
        "tool": method,
        "args": filled,
    }
    tool = Tool(ToolSpec(name=method))
    key = f"again-{_child(work.run_id, step.task.id, path, before.seq)[:12]}"
    answer, _ = await work.approvals.ask(tool, filled, ToolCall(step.task.id, method), key, asked)
    return verdict(answer)


async def _refusal(work: Work, step: Step, path: str | None, parameters: Any, *, asked: bool) -> str | None:
    """None: it may be called. Before it is written down as begun, and once for all its attempts.

    So a process that dies while the question is open leaves nothing that may have been done, and whoever goes on asks
    under the same key: an answer that came meanwhile holds. Who was `asked` whether to do it again has said yes.
    """
    tool = step.method.tool
    if tool is None or (asked and tool.policy != "deny"):
        return None
    key = _child(work.run_id, step.task.id, path, 1)
    return await work.approvals.refusal(tool, parameters, ToolCall(step.task.id, tool.name), key)


def _child(run_id: str, task_id: str, path: str | None, number: int) -> str:
    """The id of an attempt's own run: the same again after a crash, which is how it is found."""
    return hashlib.sha256(json.dumps([run_id, task_id, path, number]).encode()).hexdigest()[:32]
