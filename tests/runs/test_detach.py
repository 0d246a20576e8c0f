"""Work that outlives its call: who ends it, who hears of its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_llm.errors import Error
from mcp_llm.runs.detach import Finished, Outcome, Running, run_detachable

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


class Work:
    """Work that goes on until it is let go; knows how it ended."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun, self.go, self.ended = anyio.Event(), anyio.Event(), anyio.Event()
        self.cancelled = False
        self.error = error
        self.outcomes: list[Outcome[str]] = []
        self.stop: Callable[[], None] | None = None

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await self.go.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise
        finally:
            self.ended.set()
        if self.error is not None:
            raise self.error
        return "done"

    async def detach(self, stop: Callable[[], None]) -> Running | None:
        self.stop = stop
        return Running("r", "half")

    async def settle(self, outcome: Outcome[str]) -> None:
        await anyio.lowlevel.checkpoint()
        self.outcomes.append(outcome)


async def start(tasks: anyio.abc.TaskGroup, work: Work, deadline_s: float, **more: Any) -> Any:
    return await run_detachable(
        tasks, work, deadline_s=deadline_s, detach=more.pop("detach", work.detach), settle=work.settle, **more
    )


async def test_work_that_is_done_in_time_is_a_plain_result() -> None:
    work = Work()
    work.go.set()
    async with anyio.create_task_group() as tasks:
        assert await start(tasks, work, 30) == Finished("done")
    assert work.outcomes == []


async def test_an_error_in_time_is_raised_to_the_caller() -> None:
    work = Work(ValueError("no"))
    work.go.set()
    async with anyio.create_task_group() as tasks:
        with pytest.raises(ValueError, match="no"):
            await start(tasks, work, 30)


async def test_after_the_deadline_the_call_ends_and_the_work_goes_on() -> None:
    work = Work()
    async with anyio.create_task_group() as tasks:
        assert await start(tasks, work, 0) == Running("r", "half")
        await anyio.wait_all_tasks_blocked()
        assert not work.ended.is_set()
        work.go.set()
    assert work.outcomes == [Outcome("done")]


async def test_an_error_after_detaching_is_settled_and_harms_nobody_else() -> None:
    error = ValueError("late")
    work, other = Work(error), Work()
    async with anyio.create_task_group() as tasks:
        await start(tasks, work, 0)
        await start(tasks, other, 0)
        work.go.set()
        await anyio.wait_all_tasks_blocked()
        other.go.set()
    assert work.outcomes == [Outcome(error=error)]
    assert other.outcomes == [Outcome("done")]


async def test_a_client_that_goes_before_detaching_takes_the_work_with_it() -> None:
    work = Work()
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as call:
            async with anyio.create_task_group() as request:
                request.start_soon(start, tasks, work, 60)
                await work.begun.wait()
                call.cancel()
        assert work.ended.is_set()
    assert work.cancelled
    assert work.outcomes == []


async def test_a_client_that_goes_while_the_run_is_made_known_takes_the_work_with_it() -> None:
    work, making = Work(), anyio.Event()
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as call:

            async def slow(stop: Callable[[], None]) -> Running:
                making.set()
                call.cancel()
                return Running("r")

            await start(tasks, work, 0, detach=slow)
        assert work.ended.is_set()
    assert work.cancelled
    assert work.outcomes == [Outcome(cancelled=True)]


async def test_a_client_that_goes_after_detaching_leaves_the_work_alone() -> None:
    work = Work()
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as call:
            await start(tasks, work, 0)
            call.cancel()
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        assert not work.ended.is_set()
        work.go.set()
    assert work.outcomes == [Outcome("done")]


async def test_detached_work_can_be_ended_from_outside() -> None:
    work = Work()
    async with anyio.create_task_group() as tasks:
        await start(tasks, work, 0)
        await work.begun.wait()
        assert work.stop is not None
        work.stop()
    assert work.cancelled
    assert work.outcomes == [Outcome(cancelled=True)]


async def test_the_end_of_the_server_ends_the_work_and_settles_it() -> None:
    work = Work()
    async with anyio.create_task_group() as tasks:
        await start(tasks, work, 0)
        await work.begun.wait()
        tasks.cancel_scope.cancel()
    assert work.outcomes == [Outcome(cancelled=True)]


async def test_work_that_ends_while_the_run_is_made_known_is_a_plain_result_and_settled_once() -> None:
    work = Work()
    async with anyio.create_task_group() as tasks:

        async def slow(stop: Callable[[], None]) -> Running:
            work.go.set()
            await work.ended.wait()
            await anyio.wait_all_tasks_blocked()
            return Running("r")

        assert await start(tasks, work, 0, detach=slow) == Finished("done")
    assert work.outcomes == [Outcome("done")]


async def test_a_run_that_cannot_be_made_known_is_waited_for() -> None:
    work = Work()

    async def impossible(stop: Callable[[], None]) -> None:
        work.go.set()

    async with anyio.create_task_group() as tasks:
        assert await start(tasks, work, 0, detach=impossible) == Finished("done")
    assert work.outcomes == []


async def test_a_settling_that_fails_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()

    async def broken(outcome: Outcome[str]) -> None:
        raise Error("disk full")

    async with anyio.create_task_group() as tasks:
        await run_detachable(tasks, work, deadline_s=0, detach=work.detach, settle=broken)
        work.go.set()
    assert "could not be written" in caplog.text
