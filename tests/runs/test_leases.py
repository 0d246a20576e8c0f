"""Who drives a run: leases, takeovers, cancels, questions, and waiting for another process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from mcp_llm.errors import Conflict, InvalidInput
from mcp_llm.llm.ledger import Ledger, Scope
from mcp_llm.runs import wait
from mcp_llm.runs.resume import Resumers
from mcp_llm.runs.store import RunStore
from mcp_llm.store.sqlite import Store
from mcp_llm.types.events import (
    Approval,
    ErrorEvent,
    Finish,
    ModelStart,
    Start,
    TextEvent,
)
from mcp_llm.types.sinks import Callback

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunInfo

pytestmark = pytest.mark.anyio


async def test_a_lease_is_renewed_while_the_run_is_driven_and_free_when_let_go(path: Path, soon: Any) -> None:
    mine, theirs = Store.open(path), Store.open(path)
    ours, others = RunStore(mine, ttl_s=0.3), RunStore(theirs, ttl_s=0.3)
    journal = await ours.create("agent", {}, "me")
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        with pytest.raises(Conflict, match="another process drives"):
            await others.claim(journal.run_id)
        await anyio.sleep(0.05)
    assert await others.expired(["agent"]) == []
    await journal.append(Start(prompt="x"))
    journal.note(TextEvent(text="half"))
    await journal.release()
    assert [run.id for run in await others.expired(["agent"])] == [journal.run_id]
    assert await others.expired(["generate"]) == []
    assert (await others.get(journal.run_id, "me")).status == "interrupted"
    assert [info.id for info in await others.list("me", "interrupted")] == [journal.run_id]
    assert await others.list("me", "running") == []
    taken = await others.claim(journal.run_id)
    assert (taken.fence, taken.seq, taken.attempts) == (journal.fence + 1, 1, 2)
    assert (await ours.get(journal.run_id, "me")).status == "running"
    mine.close()
    theirs.close()


async def test_the_last_words_before_a_run_is_let_go_are_told_too(runs: RunStore) -> None:
    told: list[tuple[int, str]] = []
    journal = await runs.create("agent", {}, "me")
    journal.listen(Callback(lambda event: told.append((event["seq"], event["event"]))))
    await journal.append(Start(prompt="x"))
    journal.note(TextEvent(text="one"))
    journal.note(TextEvent(text="two"))
    await journal.release()
    assert told == [(event.seq, event.event) for event in await runs.events(journal.run_id)]
    assert [event.text for event in await runs.events(journal.run_id) if isinstance(event, TextEvent)] == ["one", "two"]


async def test_an_end_that_comes_too_late_is_not_written(path: Path) -> None:
    mine, theirs = Store.open(path), Store.open(path)
    journal = await RunStore(mine, ttl_s=50).create("agent", {}, "me")
    # Its process was asleep for longer than a lease lasts.
    await mine.execute("UPDATE runs SET expires = 0 WHERE id = ?", (journal.run_id,))
    taken = await RunStore(theirs).claim(journal.run_id)
    written: list[str] = []

    def late(connection: sqlite3.Connection) -> None:
        journal.end(connection, Finish(), lambda _: written.append("the end"))

    with pytest.raises(Conflict):
        await mine.write(late)
    await taken.finish(Finish(result="theirs"))
    with pytest.raises(Conflict):
        await mine.write(late)
    assert (await RunStore(theirs).get(journal.run_id, "me")).result["response"] == "theirs"
    assert len(await RunStore(theirs).events(journal.run_id)) == 1
    assert written == []
    mine.close()
    theirs.close()


async def test_a_driver_whose_run_was_taken_is_told_and_writes_nothing(path: Path, soon: Any) -> None:
    mine, theirs = Store.open(path), Store.open(path)
    ours, others = RunStore(mine, ttl_s=0.3), RunStore(theirs, ttl_s=0.3)
    journal = await ours.create("agent", {}, "me")
    stopped: list[bool] = []
    journal.on_stop = lambda: stopped.append(journal.lost)
    # What happens to a machine that slept: its lease is long over, nobody has renewed it.
    await theirs.execute("UPDATE runs SET expires = 1 WHERE id = ?", (journal.run_id,))
    taken = await others.claim(journal.run_id)
    await soon(lambda: stopped)
    assert stopped == [True]
    journal.note(TextEvent(text="stale"))
    with pytest.raises(Conflict):
        await journal.append(Start(prompt="stale"))
    with pytest.raises(Conflict):
        await journal.finish(Finish(result="stale"))
    await journal.release()
    assert await taken.append(Start(prompt="fresh")) == 0
    assert [event.event for event in await others.events(journal.run_id)] == ["start"]
    mine.close()
    theirs.close()


async def test_a_stale_write_is_refused_before_the_driver_has_heard_of_the_takeover(path: Path) -> None:
    mine, theirs = Store.open(path), Store.open(path)
    journal = await RunStore(mine).create("agent", {}, "me")
    await theirs.execute("UPDATE runs SET expires = 1 WHERE id = ?", (journal.run_id,))
    taken = await RunStore(theirs).claim(journal.run_id)
    journal.note(TextEvent(text="stale"))
    with pytest.raises(Conflict, match="taken over"):
        await journal.append(Start(prompt="stale"))
    assert journal.lost
    assert await taken.append(Start(prompt="fresh")) == 0
    mine.close()
    theirs.close()


async def test_what_a_driver_held_is_spent_when_its_run_is_taken(path: Path) -> None:
    gone, store = Store.open(path), Store.open(path)
    ledger = Ledger(gone)
    journal = await RunStore(gone).create("agent", {}, "local")
    other = await RunStore(gone).create("agent", {}, "local")
    for one in (journal, other):
        await ledger.reserve([Scope("run", one.run_id, tokens=100)], usd=None, tokens=90)
    await journal.release()
    await RunStore(store).claim(journal.run_id)
    found = [await Ledger(store).used("run", one.run_id) for one in (journal, other)]
    assert [(one.tokens, one.held_tokens) for one in found] == [(90, 0), (0, 90)]
    await gone.aclose()
    await store.aclose()


async def test_a_cancel_reaches_the_driver_in_this_process_and_in_another(path: Path, soon: Any) -> None:
    mine, theirs = Store.open(path), Store.open(path)
    ours, others = RunStore(mine, ttl_s=0.3), RunStore(theirs, ttl_s=0.3)
    for asker in (ours, others):
        journal = await ours.create("agent", {}, "me")
        stopped: list[int] = []
        journal.on_stop = lambda seen=stopped: seen.append(1)
        before = await asker.request_cancel(journal.run_id, "me")
        await soon(lambda seen=stopped: seen)
        assert (before.status, journal.cancel_requested, journal.lost, stopped) == ("running", True, False, [1])
        await journal.finish(ErrorEvent(error="cancelled", kind="cancelled"))
        assert (await asker.request_cancel(journal.run_id, "me")).status == "cancelled"
    mine.close()
    theirs.close()


async def test_cancelling_an_interrupted_run_ends_it_at_once(runs: RunStore) -> None:
    journal = await runs.create("agent", {}, "me")
    await journal.release()
    assert (await runs.request_cancel(journal.run_id, "me")).status == "interrupted"
    assert (await runs.get(journal.run_id, "me")).status == "cancelled"
    assert [event.event for event in await runs.events(journal.run_id)] == ["error"]


async def test_a_question_waits_for_its_answer_across_processes(path: Path) -> None:
    mine, theirs = Store.open(path), Store.open(path)
    ours, others = RunStore(mine), RunStore(theirs)
    journal = await ours.create("agent", {}, "me")
    event = Approval(tool="t", call_id="c", state="asked")
    await journal.ask(event, "c", {"tool": "t"}, deadline=time.time_ns() // 1_000_000 + 60_000)
    assert (await others.get(journal.run_id, "me")).status == "waiting"
    assert (await wait.ended(others, journal.run_id, "me", 5)).status == "waiting"
    assert await wait.answered(ours, journal.run_id, "c", 0) is None
    async with anyio.create_task_group() as tasks:

        async def answer() -> None:
            assert await others.answer(journal.run_id, "me", {"ok": True}) == "c"

        tasks.start_soon(answer)
        with anyio.fail_after(60):
            found = await wait.answered(ours, journal.run_id, "c", 10)
    assert found is not None
    assert (found.answer, found.question, found.open) == ({"ok": True}, {"tool": "t"}, False)
    with pytest.raises(InvalidInput, match="does not ask"):
        await others.answer(journal.run_id, "me", False)
    await journal.mark(Approval(tool="t", call_id="c", state="allowed", by="user"), status="running")
    assert (await others.get(journal.run_id, "me")).status == "running"
    mine.close()
    theirs.close()


async def test_an_answer_after_the_deadline_or_to_several_questions_is_refused(runs: RunStore) -> None:
    journal = await runs.create("agent", {}, "me")
    for name, deadline in (("a", 1), ("b", None), ("c", None)):
        await journal.ask(Approval(tool="t", call_id=name, state="asked"), name, {}, deadline)
    with pytest.raises(InvalidInput, match="asks 2 things: name one of b, c"):
        await runs.answer(journal.run_id, "me", True)
    with pytest.raises(InvalidInput, match="does not ask this"):
        await runs.answer(journal.run_id, "me", True, "a")
    assert await runs.answer(journal.run_id, "me", True, "c") == "c"
    assert await runs.answer(journal.run_id, "me", True) == "b"


class Clocked(RunStore):
    """Whose clock is set while it looks for the first time: what is driven seems to be over."""

    ahead = 0.0
    looks = 0

    async def expired(self, kinds: Sequence[str], known: Mapping[str, int] | None = None) -> list[RunInfo]:
        self.looks += 1
        found = await super().expired(kinds, known)
        if self.looks > 1:
            return found
        self.ahead += 3600
        return await self.list("me")


class Named:
    """Drives nothing; keeps the ids of what it was to drive."""

    automatic = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def check(self, info: RunInfo, again: bool) -> None:
        self.asked.append(info.id)
        raise InvalidInput("it is not driven here")

    async def drive(self, journal: Journal) -> dict[str, Any]:
        raise NotImplementedError


async def test_a_clock_that_is_set_while_leases_are_looked_at_ends_none(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, named, resumers = Store.open(path), Named(), Resumers()
    runs = Clocked(store, ttl_s=0.1)
    monkeypatch.setattr("mcp_llm.runs.resume.SETTLE", 0)
    monkeypatch.setattr("mcp_llm.runs.resume._lead", lambda: runs.ahead)
    resumers.register("agent", named)
    driven = await runs.create("agent", {}, "me")
    gone = await runs.create("agent", {}, "me")
    await gone.release()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(resumers.watch, runs, tasks)
            while not named.asked:  # noqa: ASYNC110 - whoever looks tells nobody
                await anyio.sleep(0.02)
            tasks.cancel_scope.cancel()
    assert named.asked == [gone.run_id]
    assert runs.looks > 1
    await driven.release()
    store.close()


async def test_waiting_ends_as_soon_as_the_run_does_here_and_elsewhere(path: Path) -> None:
    mine, theirs = Store.open(path), Store.open(path)
    ours, others = RunStore(mine), RunStore(theirs)
    journal = await ours.create("agent", {}, "me")
    statuses: list[str] = []
    async with anyio.create_task_group() as tasks:

        async def watch(runs: RunStore) -> None:
            statuses.append((await wait.ended(runs, journal.run_id, "me", 20)).status)

        tasks.start_soon(watch, ours)
        tasks.start_soon(watch, others)
        before = await others.position(journal.run_id, "me")
        assert before == ("running", -1)
        await journal.append(ModelStart(step=0))
        assert await wait.changed(others, journal.run_id, "me", before, 10) == ("running", 0)
        assert (await wait.ended(others, journal.run_id, "me", 0)).status == "running"
        with anyio.fail_after(60):
            await journal.finish(Finish(result="x"))
    assert statuses == ["finished", "finished"]
    mine.close()
    theirs.close()
