"""Runs whose process is gone are taken up unasked: those that may be, one after another, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_llm.errors import InvalidInput
from mcp_llm.runs import wait
from mcp_llm.runs.resume import Resumers
from mcp_llm.runs.store import RunStore
from mcp_llm.store.sqlite import Store
from mcp_llm.types.events import Finish, Start

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunInfo

pytestmark = pytest.mark.anyio


class Taker:
    """Ends every run it is given; refuses those that ask for it, and reads the events first where it has `runs`."""

    def __init__(self, runs: RunStore | None = None, *, automatic: bool = True) -> None:
        self.runs = runs
        self.automatic = automatic
        self.taken: list[str] = []
        self.checked: list[str] = []

    async def check(self, info: RunInfo, again: bool) -> None:
        self.checked.append(info.id)
        if info.request.get("refuse"):
            raise InvalidInput("it was cut off again and again")
        if self.runs is not None:
            await self.runs.events(info.id)

    async def drive(self, journal: Journal) -> dict[str, Any]:
        self.taken.append(journal.run_id)
        await journal.finish(Finish(result="taken up"))
        return {}


async def left(runs: RunStore, kind: str, count: int, request: dict[str, Any] | None = None) -> list[str]:
    """Runs of a process that is gone."""
    journals = [await runs.create(kind, request or {}, "me") for _ in range(count)]
    for journal in journals:
        await runs.store.execute("UPDATE runs SET expires = expires - 60000 WHERE id = ?", (journal.run_id,))
    return [journal.run_id for journal in journals]


async def test_runs_that_are_left_to_the_user_hold_up_no_other(path: Path) -> None:
    gone, here = Store.open(path), Store.open(path)
    before, runs = RunStore(gone), RunStore(here)
    calls = await left(before, "generate", 40)
    refused = await left(before, "agent", 40, {"refuse": True})
    agents = await left(before, "agent", 3)
    taker, resumers = Taker(), Resumers()
    resumers.register("agent", taker)
    resumers.register("generate", Taker(automatic=False))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(resumers.watch, runs, tasks)
        with anyio.fail_after(20):
            for run_id in agents:
                assert (await wait.ended(runs, run_id, "me", None, grace_s=60)).status == "finished"
        tasks.cancel_scope.cancel()
    assert sorted(taker.taken) == sorted(agents)
    assert {(await runs.get(run_id, "me")).status for run_id in calls + refused} == {"interrupted"}
    assert await runs.next_expiry(["agent"]) is None  # nothing to look for until somebody else begins something
    await gone.aclose()
    await here.aclose()


async def test_a_run_that_was_refused_is_not_looked_into_again_before_it_has_changed(path: Path) -> None:
    gone, here = Store.open(path), Store.open(path)
    before, runs = RunStore(gone), RunStore(here, ttl_s=0.2)
    (refused,) = await left(before, "agent", 1, {"refuse": True})
    taker, resumers = Taker(), Resumers()
    resumers.register("agent", taker)

    async def looked_once_more() -> None:
        (run_id,) = await left(before, "agent", 1)
        assert (await wait.ended(runs, run_id, "me", None, grace_s=60)).status == "finished"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(resumers.watch, runs, tasks)
        with anyio.fail_after(20):
            for _ in range(3):
                await looked_once_more()
            assert taker.checked.count(refused) == 1
            await gone.execute("UPDATE runs SET updated = updated + 1 WHERE id = ?", (refused,))
            for _ in range(2):
                await looked_once_more()
        tasks.cancel_scope.cancel()
    assert taker.checked.count(refused) == 2
    await gone.aclose()
    await here.aclose()


async def test_a_run_that_is_damaged_on_disk_holds_up_no_other(path: Path) -> None:
    gone, here = Store.open(path), Store.open(path)
    before, runs = RunStore(gone), RunStore(here)
    damaged, whole = await before.create("agent", {}, "me"), await before.create("agent", {}, "me")
    for journal, ago in ((damaged, 120_000), (whole, 60_000)):
        await journal.append(Start(prompt="x"))
        await gone.execute(
            "UPDATE runs SET expires = expires - ?1, updated = updated - ?1 WHERE id = ?2", (ago, journal.run_id)
        )
    await gone.execute("UPDATE run_events SET data = '{}' WHERE run = ?", (damaged.run_id,))
    resumers = Resumers()
    resumers.register("agent", Taker(runs))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(resumers.watch, runs, tasks)
        with anyio.fail_after(20):
            assert (await wait.ended(runs, whole.run_id, "me", None, grace_s=60)).status == "finished"
        tasks.cancel_scope.cancel()
    assert (await runs.get(damaged.run_id, "me")).status == "interrupted"
    await gone.aclose()
    await here.aclose()


async def test_whoever_waits_is_told_of_an_interruption_that_lasts(path: Path) -> None:
    store = Store.open(path)
    runs = RunStore(store)
    (run_id,) = await left(runs, "agent", 1)
    with anyio.fail_after(20):
        assert (await wait.ended(runs, run_id, "me", None, grace_s=0.1)).status == "interrupted"
    await store.aclose()
