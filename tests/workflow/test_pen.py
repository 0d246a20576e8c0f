"""The events of a run on their way to the disk: together, in order, and not lost where the work is cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from mcp_llm.errors import StoreError
from mcp_llm.types.events import TaskEnd, TaskStart
from mcp_llm.workflow.pen import Pen

if TYPE_CHECKING:
    from mcp_llm.runs.journal import Journal

pytestmark = pytest.mark.anyio


class Paper:
    """A journal that keeps what it is given, and how it came; `slow` waits for it."""

    def __init__(self) -> None:
        self.commits: list[list[str]] = []
        self.begun, self.slow = anyio.Event(), anyio.Event()
        self.slow.set()
        self.broken = False

    async def append(self, *events: Any) -> None:
        self.begun.set()
        await self.slow.wait()
        if self.broken:
            raise StoreError("the disk fails")
        self.commits.append([f"{event.event} {event.task}" for event in events])


def start(task: str) -> TaskStart:
    return TaskStart(task=task, method="m")


def end(task: str) -> TaskEnd:
    return TaskEnd(task=task, status="completed")


async def test_what_comes_while_the_disk_is_busy_is_written_together_and_in_order() -> None:
    paper = Paper()
    async with anyio.create_task_group() as tasks:
        pen = Pen(cast("Journal", paper), tasks)
        await pen.append(start("a"))
        paper.slow, paper.begun = anyio.Event(), anyio.Event()
        pen.put(end("a"))
        await paper.begun.wait()
        for name in ("b", "c"):
            tasks.start_soon(pen.append, start(name))
        await anyio.wait_all_tasks_blocked()
        pen.put(end("d"))
        paper.slow.set()
    assert paper.commits == [["task_start a"], ["task_end a"], ["task_start b", "task_start c", "task_end d"]]


async def test_an_end_and_the_beginning_that_follows_from_it_are_one_commit() -> None:
    paper = Paper()
    async with anyio.create_task_group() as tasks:
        pen = Pen(cast("Journal", paper), tasks)
        pen.put(end("a"))
        tasks.start_soon(pen.append, start("b"))
    assert paper.commits == [["task_end a", "task_start b"]]


async def test_what_has_ended_is_written_also_where_the_work_is_cut_off() -> None:
    paper = Paper()
    async with anyio.create_task_group() as tasks:
        pen = Pen(cast("Journal", paper), tasks)
        pen.put(end("a"))
        pen.put(start("b"))  # nobody was told that it may begin
        tasks.cancel_scope.cancel()
    assert paper.commits == []
    await pen.close()
    assert paper.commits == [["task_end a"]]


async def test_what_is_being_written_is_written_whoever_gives_up() -> None:
    paper = Paper()
    paper.slow = anyio.Event()
    async with anyio.create_task_group() as outer, anyio.create_task_group() as tasks:
        pen = Pen(cast("Journal", paper), tasks)
        pen.put(end("a"))
        await paper.begun.wait()
        tasks.cancel_scope.cancel()
        outer.start_soon(anyio.sleep, 0)
        paper.slow.set()
    assert paper.commits == [["task_end a"]]


async def test_a_disk_that_fails_ends_the_work() -> None:
    paper = Paper()
    paper.broken = True
    with pytest.raises(ExceptionGroup) as caught:
        async with anyio.create_task_group() as tasks:
            await Pen(cast("Journal", paper), tasks).append(start("a"))
    assert [type(one) for one in caught.value.exceptions] == [StoreError]
