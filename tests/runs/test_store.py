"""Journals and runs on a real file: order, durability, ownership, steering."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from mcp_llm.errors import Conflict, InvalidInput, StoreError
from mcp_llm.runs import wait
from mcp_llm.runs.journal import NOTE_CHARACTERS
from mcp_llm.runs.store import RunStore
from mcp_llm.store.sqlite import Store
from mcp_llm.types.events import (
    ErrorEvent,
    Finish,
    ModelStart,
    Start,
    TextEvent,
    ThinkingEvent,
    ToolEnd,
    ToolStart,
)
from mcp_llm.types.sinks import Callback

from .costing import costs

if TYPE_CHECKING:
    from pathlib import Path
from runs.told import told

pytestmark = pytest.mark.anyio


async def test_a_key_that_comes_in_pieces_is_in_no_event_nor_in_two(runs: RunStore) -> None:
    key = "sk-secret-0123456789"
    runs.redactor.learn([key])
    journal = await runs.create("agent", {}, "me")
    seen: list[dict[str, Any]] = []
    journal.listen(Callback(seen.append))
    first = "a" * NOTE_CHARACTERS  # so that each piece is due as it comes
    for piece in (first + key[:2], key[2:9], key[9:], ", so be it"):
        journal.note(TextEvent(text=piece))
    await journal.finish(Finish(result={"response": "x"}))
    words = "".join(event.text for event in await runs.events(journal.run_id) if isinstance(event, TextEvent))
    assert words == "".join(event["text"] for event in seen if event["event"] == "text") == f"{first}***, so be it"


async def test_events_are_numbered_without_gaps_and_carry_their_run(runs: RunStore) -> None:
    journal = await runs.create("agent", {"prompt": "x"}, "me", parent="p")
    assert await journal.append(Start(prompt="x")) == 0
    assert await journal.append(ToolStart(tool="t", call_id="c")) == 1
    events = await runs.events(journal.run_id)
    assert events == [
        Start(prompt="x", ts=events[0].ts, run_id=journal.run_id, seq=0),
        ToolStart(tool="t", call_id="c", ts=events[1].ts, run_id=journal.run_id, seq=1),
    ]
    assert abs(events[0].ts - time.time() * 1000) < 60_000
    assert len(journal.run_id) == 32


async def test_words_noted_are_joined_and_are_on_disk_before_the_next_awaited_event(runs: RunStore) -> None:
    journal = await runs.create("agent", {}, "me")
    seen: list[dict[str, Any]] = []
    journal.listen(Callback(seen.append))
    await journal.append(Start(prompt="x"))
    for word in ("a", "b", "c"):
        journal.note(TextEvent(text=word))
    for word in ("h", "m"):
        journal.note(ThinkingEvent(summary=word))
    journal.note(TextEvent(text="d"))
    assert journal.partial == "abcd"
    await journal.append(ToolStart(tool="t", call_id="c"))
    # The first goes at once, so that a reader sees it soon; what comes in the next moment goes together.
    assert await told(runs, journal.run_id) == [
        (0, "start", None),
        (1, "text", "a"),
        (2, "text", "bc"),
        (3, "thinking", None),
        (4, "text", "d"),
        (5, "tool_start", None),
    ]
    assert [event["seq"] for event in seen] == [0, 1, 2, 3, 4, 5]
    assert await runs.partial(journal.run_id) == "abcd"


async def test_appends_at_the_same_time_are_all_kept_in_one_order(runs: RunStore) -> None:
    journal = await runs.create("agent", {}, "me")
    seen: list[int] = []
    journal.listen(Callback(lambda event: seen.append(event["seq"])))

    async def one(index: int) -> None:
        journal.note(TextEvent(text=f"{index} "))
        await journal.append(ToolEnd(tool="t", call_id=f"c{index}", result="x"))

    async with anyio.create_task_group() as tasks:
        for index in range(50):
            tasks.start_soon(one, index)
    events = await runs.events(journal.run_id)
    assert [event.seq for event in events] == list(range(len(events))) == seen
    assert sum(isinstance(event, ToolEnd) for event in events) == 50
    words = "".join(event.text for event in events if isinstance(event, TextEvent)).split()
    assert sorted(words, key=int) == [str(index) for index in range(50)]


async def test_several_events_at_once_are_one_write(runs: RunStore, store: Store) -> None:
    journal = await runs.create("agent", {}, "local")
    assert await journal.append(Start(prompt="go"), TextEvent(text="a"), TextEvent(text="b")) == 2
    await store.execute("UPDATE runs SET fence = fence + 1")
    with pytest.raises(Conflict):
        await journal.append(TextEvent(text="c"), TextEvent(text="d"))
    assert [(event.seq, event.event) for event in await runs.events(journal.run_id)] == [
        *((0, "start"), (1, "text"), (2, "text")),
    ]


async def test_what_is_added_waits_for_the_next_write_and_is_told_after_it(runs: RunStore) -> None:
    journal = await runs.create("agent", {}, "me")
    heard: list[int] = []
    journal.listen(Callback(lambda event: heard.append(event["seq"])))
    journal.add(ModelStart(step=0))
    journal.note(TextEvent(text="words that came early"))
    assert (await runs.events(journal.run_id), heard) == ([], [])
    journal.push()
    journal.note(TextEvent(text="and late"))
    assert heard == []
    await journal.settled()
    assert heard == [0, 1]
    journal.add(ToolStart(tool="a", call_id="1"))
    await journal.append(ToolEnd(tool="a", call_id="1"))
    assert heard == [0, 1, 2, 3, 4]
    await journal.settled()  # there is nothing
    journal.add(ToolStart(tool="b", call_id="2"))
    await journal.release()
    assert [event.event for event in await runs.events(journal.run_id)] == [
        *("model_start", "text", "text", "tool_start", "tool_end", "tool_start")
    ]


async def test_what_is_added_by_a_driver_that_was_overtaken_is_refused(path: Path) -> None:
    mine, theirs = Store.open(path), Store.open(path)
    journal = await RunStore(mine).create("agent", {}, "me")
    await mine.execute("UPDATE runs SET expires = 0")
    await RunStore(theirs).claim(journal.run_id)
    stopped: list[bool] = []
    journal.on_stop = lambda: stopped.append(True)
    journal.add(ModelStart(step=0))
    journal.push()
    with pytest.raises(Conflict):
        await journal.settled()
    with pytest.raises(Conflict):
        await journal.append(ModelStart(step=0))
    assert (stopped, await RunStore(theirs).events(journal.run_id)) == ([True], [])
    await mine.aclose()
    await theirs.aclose()


@pytest.mark.parametrize("seed", range(30))
async def test_however_it_is_written_the_disk_has_what_each_said_in_order(runs: RunStore, seed: int) -> None:
    luck = random.Random(seed)
    journal = await runs.create("agent", {}, "me")
    heard: list[int] = []
    journal.listen(Callback(lambda event: heard.append(event["seq"])))
    said: dict[str, list[str]] = {"a": [], "b": [], "c": []}

    async def task(name: str) -> None:
        def event() -> ToolStart:
            said[name].append(f"{name}{len(said[name])}")
            return ToolStart(tool=name, call_id=said[name][-1])

        for _ in range(20):
            match luck.randrange(6):
                case 0:
                    journal.note(event())
                case 1:
                    journal.add(event())
                case 2:
                    journal.push()
                case 3:
                    await journal.settled()
                case 4:
                    await anyio.lowlevel.checkpoint()
                case 5:
                    with anyio.move_on_after(luck.choice([0, 0.0005, 9])):
                        await journal.append(event())

    async with anyio.create_task_group() as tasks:
        for name in said:
            tasks.start_soon(task, name)
    await journal.release()
    found = [one.call_id for one in await runs.events(journal.run_id) if isinstance(one, ToolStart)]
    assert len(found) == len(set(found))
    for name, words in said.items():
        # An append that was cancelled before it began is the only thing that may be missing.
        assert [one for one in found if one.startswith(name)] == [one for one in words if one in set(found)]
    assert heard == sorted(set(heard))
    assert set(heard) <= set(range(len(found)))


async def test_a_cancelled_append_is_written_or_not_and_leaves_no_gap(runs: RunStore) -> None:
    journal = await runs.create("agent", {}, "me")
    for index in range(20):
        with anyio.move_on_after(0.0002 * index):
            await journal.append(ToolEnd(tool="t", call_id=f"c{index}"))
    last = await journal.append(Start(prompt="x"))
    assert [event.seq for event in await runs.events(journal.run_id)] == list(range(last + 1))


async def test_a_finished_run_has_its_result_and_takes_no_more(runs: RunStore) -> None:
    journal = await runs.create("agent", {"prompt": "x"}, "me", model="m")
    await journal.append(Start(prompt="x"))
    await journal.finish(Finish(result="done"))
    info = await runs.get(journal.run_id, "me")
    assert (info.status, info.result["response"], info.request, info.model) == (
        "finished",
        "done",
        {"prompt": "x"},
        "m",
    )
    with pytest.raises(Conflict):
        await journal.append(Start(prompt="again"))
    journal.note(TextEvent(text="late"))
    with pytest.raises(Conflict, match="is finished"):
        await runs.claim(journal.run_id)
    assert [event.event for event in await runs.events(journal.run_id)] == ["start", "finish"]
    assert runs.driven(journal.run_id) is None


@pytest.mark.parametrize(("kind", "status"), [("auth", "failed"), ("cancelled", "cancelled")])
async def test_an_error_ends_a_run_with_what_had_arrived(runs: RunStore, kind: str, status: str) -> None:
    journal = await runs.create("agent", {}, "me")
    await journal.finish(ErrorEvent(error="no key", kind=kind, partial="half"))
    info = await runs.get(journal.run_id, "me")
    assert (info.status, info.result) == (status, {"error": "no key", "kind": kind, "partial": "half"})


async def test_somebody_elses_run_is_as_unknown_as_one_that_never_was(runs: RunStore) -> None:
    journal = await runs.create("agent", {}, "me")
    handle = await runs.keep_text(journal.run_id, "c", "secret")
    asks: list[Any] = [
        lambda run_id: runs.get(run_id, "you"),
        lambda run_id: runs.events(run_id, principal="you"),
        lambda run_id: runs.claim(run_id, "you"),
        lambda run_id: runs.request_cancel(run_id, "you"),
        lambda run_id: runs.answer(run_id, "you", True),
        lambda run_id: wait.ended(runs, run_id, "you", 0),
    ]
    for ask in asks:
        texts = []
        for run_id in (journal.run_id, "f" * 32):
            with pytest.raises(InvalidInput) as caught:
                await ask(run_id)
            texts.append(str(caught.value).replace(run_id, "ID"))
        assert texts[0] == texts[1]
    with pytest.raises(InvalidInput):
        await runs.read_text(handle, "you")
    assert await runs.list("you") == []


async def test_a_long_text_is_read_page_by_page(runs: RunStore) -> None:
    journal = await runs.create("agent", {}, "me")
    text = "".join(f"zeile {number} é😀\0\n" for number in range(5000))
    handle = await runs.keep_text(journal.run_id, "call/1 2", text)
    assert handle == f"{journal.run_id}.call-1-2"
    read, offset = "", 0
    while True:
        page = await runs.read_text(handle, "me", offset, 7777)
        read, offset = read + page.text, page.end
        if not page.more:
            break
    assert read == text.replace("\0", "\ufffd")
    assert (await runs.read_text(handle, "me", 10**9)).text == ""


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        # '0' and '1' are a bit apart.
        ("UPDATE run_events SET data = replace(data, 'pay 0', 'pay 1') WHERE seq = 1", "event 1 of run .* is damaged"),
        ("DELETE FROM run_events WHERE seq = 1", "event 1 of run .* is missing"),
        ("DELETE FROM run_events WHERE seq = 0", "event 0 of run .* is missing"),
    ],
)
async def test_a_damaged_event_is_found_and_nobody_goes_on_from_it(
    runs: RunStore, store: Store, damage: str, said: str
) -> None:
    journal = await runs.create("agent", {}, "me")
    for prompt in ("go", "pay 0", "stop"):
        await journal.append(Start(prompt=prompt))
    await journal.release()
    assert await store.execute(damage) == 1
    with pytest.raises(StoreError, match=said):
        await runs.events(journal.run_id)
    await runs.claim(journal.run_id)
    with pytest.raises(StoreError, match=said):  # what whoever goes on with it reads first
        await runs.events(journal.run_id, principal="me")


async def test_a_journal_whose_disk_failed_takes_nothing_more_and_a_new_claim_goes_on(
    runs: RunStore, store: Store, path: Path
) -> None:
    journal = await runs.create("agent", {}, "me")
    await journal.append(Start(prompt="x"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON run_events BEGIN SELECT RAISE(ROLLBACK, 'full'); END")
    with pytest.raises((StoreError, Conflict)):
        await journal.append(ToolStart(tool="t", call_id="c"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TRIGGER full")
    connection.close()
    with pytest.raises((StoreError, Conflict)):
        await journal.append(ToolStart(tool="t", call_id="c"))
    await store.execute("UPDATE runs SET expires = 1")
    taken = await RunStore(store).claim(journal.run_id)
    assert await taken.append(ToolStart(tool="t", call_id="c")) == 1


@pytest.mark.parametrize(
    ("end", "status", "result"),
    [
        (Finish(result="done"), "finished", {"response": "done"}),
        (ErrorEvent(error="no", kind="error"), "failed", {"error": "no", "kind": "error"}),
    ],
)
async def test_an_end_that_the_disk_did_not_take_is_written_when_it_does(
    runs: RunStore, store: Store, end: Any, status: str, result: dict[str, Any]
) -> None:
    journal = await runs.create("agent", {}, "me")
    await journal.append(Start(prompt="go"))
    await store.write(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchone())
    with pytest.raises(StoreError, match="full"):
        await journal.finish(end, result=result | {"long": "x" * 50_000})
    assert (journal.ended, runs.driven(journal.run_id)) == (True, None)
    # The limit was the old connection's: as if space had been freed.
    info = await runs.get(journal.run_id, "me")
    assert (info.status, info.result) == (status, result | {"long": "x" * 50_000})
    assert [(event.seq, event.event) for event in await runs.events(journal.run_id)] == [(0, "start"), (1, end.event)]


async def test_a_posted_row_does_not_overwrite_a_run_with_a_journal(runs: RunStore, store: Store) -> None:
    from mcp_llm.llm.runs import Runs
    from mcp_llm.types.result import Generated

    journal = await runs.create("generate", {}, "me")
    Runs(store).finished("generate", "me", 0, Generated(response="posted", model="m", run_id=journal.run_id))
    await store.flush()
    assert (await runs.get(journal.run_id, "me")).status == "running"


async def test_a_brief_list_leaves_long_results_where_they_are(runs: RunStore) -> None:
    long = "x" * 100_000
    results: dict[str, Any] = {
        "a": {"response": "short", "cost": {"usd": 0.5}, "more": [1]},
        "b": {"response": long, "cost": {"usd": 0.25}, "latency_ms": 7, "results": [long]},
        "c": {"error": long},
    }
    for name, result in results.items():
        journal = await runs.create("k", {"prompt": long, "prompts": [long, long]}, "me", run_id=name)
        await journal.finish(Finish(), result=result)
    await runs.create("k", {}, "me", "a", run_id="child")
    found = {info.id: info for info in await runs.list("me", roots=True, brief=True)}
    whole = await runs.get("b", "me")
    assert found.keys() == {"a", "b", "c"}
    assert found["a"].result == results["a"]
    assert found["b"].result["response"] == long[:400]
    assert (found["b"].result["cost"], found["b"].result["latency_ms"]) == ({"usd": 0.25}, 7)
    assert (found["c"].result["error"], found["c"].result["response"]) == (long[:400], None)
    assert found["b"].request["prompts"] == [long[:400]]
    assert whole.result == results["b"]


async def test_what_a_durable_event_costs(runs: RunStore, report: list[str]) -> None:
    half, most = await costs(runs, 400)
    report.append(f"durable event of 2 KB: p50 {half:.2f} ms, p99 {most:.2f} ms (goals 0.5 and 2)")
    assert half < 50
