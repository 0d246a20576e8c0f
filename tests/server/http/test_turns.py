"""Calls that come at once begin in the order they came, a few in each turn of the loop, and none is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from mcp_llm.server.http import turns as module
from mcp_llm.server.http.turns import Turns

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

pytestmark = pytest.mark.anyio


async def begins(turns: Turns, tasks: TaskGroup, begun: list[int], number: int) -> None:
    """A call: waits for its turn and says that it has begun."""
    await turns.wait(tasks)
    begun.append(number)


async def test_a_crowd_begins_in_order_and_leaves_room_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", float("inf"))  # the clock says that all came at once
    turns, begun = Turns(), list[int]()
    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(begins, turns, tasks, begun, number)
        await anyio.lowlevel.checkpoint()
        assert begun == list(range(module.FREE))
        most = 0
        while len(begun) < 100:
            before = len(begun)
            await anyio.lowlevel.checkpoint()
            most = max(most, len(begun) - before)
    assert (begun, most) == (list(range(100)), module.EACH)


async def test_whoever_gives_up_while_waiting_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREE", 0)
    turns, begun = Turns(), list[int]()
    async with anyio.create_task_group() as tasks:

        async def one(number: int) -> None:
            with anyio.CancelScope() as scope:
                if number % 2:
                    scope.cancel()
                await turns.wait(tasks)
                begun.append(number)

        for number in range(20):
            tasks.start_soon(one, number)
    assert begun == list(range(0, 20, 2))


async def test_while_others_come_nobody_of_a_crowd_begins_be_they_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREE", 0)
    turns, begun, told = Turns(lambda: True), list[int](), list[int]()
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(begins, turns, tasks, begun, number)
        for _ in range(200):
            turns.came()
            await anyio.lowlevel.checkpoint()
            told.append(len(begun))
    assert (told, begun) == ([0] * 200, list(range(20)))


async def test_a_crowd_begins_after_a_while_although_others_come_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREE", 0)
    monkeypatch.setattr(module, "CALM", 0.05)
    monkeypatch.setattr(module, "PAUSE", 0)
    turns, begun = Turns(lambda: True), list[int]()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(begins, turns, tasks, begun, number)
            while len(begun) < 20:
                turns.came()
                await anyio.lowlevel.checkpoint()
    assert begun == list(range(20))
