"""What is let go of and what stays, on a real database and a real folder of artifacts."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_llm.errors import InvalidInput
from mcp_llm.llm.ledger import Entry, Ledger, Scope
from mcp_llm.llm.threads import Threads
from mcp_llm.runs import wait
from mcp_llm.runs.retention import DAY_MS, Gone, Retention
from mcp_llm.settings import Keep
from mcp_llm.store.artifacts import Artifacts
from mcp_llm.store.sqlite import Store
from mcp_llm.types.events import Finish, Start, TextEvent
from mcp_llm.types.message import user

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.runs.store import RunStore

pytestmark = pytest.mark.anyio

NOTHING = Gone()
MONTH = Keep(days=30, max_mb=None, ledger_days=None)


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


async def aged(store: Store, days: float, *runs: str, table: str = "runs") -> None:
    at = time.time_ns() // 1_000_000 - int(days * DAY_MS)
    for one in runs:
        await store.execute(f"UPDATE {table} SET updated = ? WHERE id = ?", (at, one))


def old(path: Path, days: float) -> None:
    at = time.time() - days * 86_400
    os.utime(path, (at, at))


def size(path: Path) -> int:
    return path.stat().st_size


async def ended(runs: RunStore, parent: str | None = None, *, says: str = "done", **request: Any) -> str:
    journal = await runs.create("agent", request, "local", parent)
    await journal.append(Start(prompt="go"))
    await runs.keep_text(journal.run_id, "c", "a long text")
    await journal.finish(Finish(result={"response": says}))
    return journal.run_id


async def rows(store: Store, table: str) -> int:
    return int((await store.query(f"SELECT count(*) FROM {table}"))[0][0])


async def apply(store: Store, artifacts: Artifacts, keep: Keep = MONTH) -> Gone:
    """What went, without how large the database is."""
    return replace(await Retention(store, artifacts, keep).apply(), bytes=0)


async def test_old_runs_go_with_all_that_is_theirs_and_younger_ones_stay(
    runs: RunStore, store: Store, artifacts: Artifacts
) -> None:
    first, second, young = await ended(runs), await ended(runs), await ended(runs)
    below = await ended(runs, second)
    await aged(store, 31, first, second, below)
    await aged(store, 29, young)
    assert await apply(store, artifacts) == replace(NOTHING, runs=3)
    assert [one.id for one in await runs.list("local")] == [young]
    assert (await rows(store, "run_events"), await rows(store, "run_texts")) == (2, 1)
    with pytest.raises(InvalidInput, match="there is no run"):
        await runs.get(below, "local")


async def test_what_has_no_end_stays_with_its_family_and_with_all_that_it_names(
    runs: RunStore, store: Store, artifacts: Artifacts
) -> None:
    earliest = await ended(runs)
    before = await ended(runs, continue_from=earliest)
    root = await ended(runs)
    waiting = await runs.create("agent", {"continue_from": before, "thread": "abcdef"}, "local", root)
    beside = await ended(runs, root)
    below = await ended(runs, waiting.run_id)
    kept, unknown = artifacts.put(b"a picture", "image/png"), artifacts.put(b"another", "image/png")
    await waiting.append(TextEvent(text=f"made {kept.uri}"))
    await waiting.release()
    threads = Threads(store)
    await threads.append("abcdef", "local", [user("hi")])
    await threads.append("fedcba", "local", [user("hi")])
    for path in artifacts.folder.iterdir():
        old(path, 400)
    await aged(store, 400, earliest, before, root, waiting.run_id, beside, below)
    await aged(store, 400, "abcdef", "fedcba", table="threads")
    gone = await apply(store, artifacts, Keep(days=1, max_mb=1, interrupted_days=500))
    assert gone == replace(NOTHING, conversations=1, artifacts=1, artifact_bytes=gone.artifact_bytes)
    assert {one.id for one in await runs.list("local")} == {earliest, before, root, waiting.run_id, beside, below}
    assert (await threads.open("abcdef", "local"))[1] == [user("hi")]
    assert [artifacts.get(one.sha256) for one in (kept, unknown)] == [kept, None]
    assert len(await runs.events((await runs.claim(waiting.run_id)).run_id)) == 1


@pytest.mark.parametrize("status", ["running", "waiting"])
async def test_what_nobody_resumes_goes_when_its_own_longer_time_is_over_with_what_it_alone_needed(
    runs: RunStore, store: Store, artifacts: Artifacts, status: str
) -> None:
    source = await ended(runs)
    cut = await runs.create("agent", {"continue_from": source}, "local")
    below = await ended(runs, cut.run_id)
    await cut.release()
    await store.execute("UPDATE runs SET status = ? WHERE id = ?", (status, cut.run_id))
    driven = await runs.create("agent", {}, "local")
    keep = MONTH.model_copy(update={"interrupted_days": 60})
    await aged(store, 400, source, below, driven.run_id)
    await aged(store, 59, cut.run_id)
    assert await apply(store, artifacts, keep) == NOTHING
    assert await apply(store, artifacts, keep.model_copy(update={"max_mb": 1})) == NOTHING
    await aged(store, 61, cut.run_id)
    assert await apply(store, artifacts, keep.model_copy(update={"days": 100})) == NOTHING
    assert await apply(store, artifacts, keep.model_copy(update={"days": None})) == NOTHING
    assert await apply(store, artifacts, MONTH) == NOTHING
    assert await apply(store, artifacts, keep) == replace(NOTHING, runs=3)
    assert [one.id for one in await runs.list("local")] == [driven.run_id]


async def test_a_run_that_was_cut_off_is_kept_a_year_unless_told_otherwise(
    runs: RunStore, store: Store, artifacts: Artifacts
) -> None:
    cut = await runs.create("agent", {}, "local")
    await cut.release()
    await aged(store, 364, cut.run_id)
    assert await apply(store, artifacts, Keep()) == NOTHING
    await aged(store, 366, cut.run_id)
    assert await apply(store, artifacts, Keep(interrupted_days=None)) == NOTHING
    assert await apply(store, artifacts, Keep()) == replace(NOTHING, runs=1)


async def test_a_run_that_ended_long_ago_below_one_that_changed_today_stays(
    runs: RunStore, store: Store, artifacts: Artifacts
) -> None:
    root = await ended(runs)
    child = await ended(runs, root)
    await aged(store, 31, child)
    assert await apply(store, artifacts) == NOTHING
    await aged(store, 31, root)
    assert await apply(store, artifacts) == replace(NOTHING, runs=2)


async def test_more_runs_than_one_transaction_takes_go_all_the_same(
    runs: RunStore, store: Store, artifacts: Artifacts
) -> None:
    kept = await runs.create("agent", {}, "local")
    made = [(f"r{number:05}", kept.run_id if number < 250 else None) for number in range(900)]
    sql = "INSERT INTO runs (id, kind, status, created, updated, parent) VALUES (?, 'generate', 'finished', 1, 1, ?)"
    await store.write(lambda connection: connection.executemany(sql, made).rowcount)
    assert await apply(store, artifacts) == replace(NOTHING, runs=650)
    assert await rows(store, "runs") == 251


async def test_the_ledger_keeps_its_own_time_and_budgets_keep_their_sums(store: Store, artifacts: Artifacts) -> None:
    now = time.time_ns() // 1_000_000
    ledger = Ledger(store)
    scope = Scope("run", "r", calls=10)
    held = await ledger.reserve([scope], usd=None, tokens=None)
    ledger.commit(held, Entry(ts=now - 50 * DAY_MS, provider="p", model="m"))
    ledger.add(Entry(ts=now - 20 * DAY_MS, provider="p", model="m"))
    await store.flush()
    assert await apply(store, artifacts, Keep(days=1, ledger_days=60)) == NOTHING
    assert await apply(store, artifacts, Keep(days=1, ledger_days=40)) == replace(NOTHING, calls=1)
    assert await rows(store, "ledger") == 1
    assert (await ledger.used("run", "r")).calls == 1


async def test_a_database_that_is_too_large_lets_go_of_the_oldest_first_and_gives_the_room_back(
    runs: RunStore, store: Store, artifacts: Artifacts, path: Path
) -> None:
    made = []
    for number in range(6):
        made.append(await ended(runs, says="x" * 400_000))
        await aged(store, 6 - number, made[-1])
    await store.query("PRAGMA wal_checkpoint(TRUNCATE)")
    before = size(path)
    gone = await Retention(store, artifacts, Keep(days=None, max_mb=2)).apply()
    left = [one.id for one in await runs.list("local")]
    assert left == made[::-1][: len(left)]
    assert 0 < len(left) < 6
    assert gone.bytes <= 2 * 1024 * 1024
    store.close()
    assert size(path) < before - 300_000
    assert size(path) < 2.5 * 1024 * 1024


async def test_what_changed_within_the_hour_stays_however_large_it_is(
    runs: RunStore, store: Store, artifacts: Artifacts
) -> None:
    await ended(runs, says="x" * 1_500_000)
    artifacts.put(b"x" * 1_500_000, "image/png")
    assert await apply(store, artifacts, Keep(max_mb=1)) == NOTHING


async def test_the_oldest_artifacts_go_until_there_is_room_whoever_made_them(
    store: Store, artifacts: Artifacts
) -> None:
    made = [artifacts.put(bytes([number]) * 600_000, "image/png") for number in range(3)]
    artifacts.put(bytes([2]) * 600_000, "image/png", principal="other")
    for number, one in enumerate(made):
        for path in artifacts.folder.glob(f"{one.sha256}*"):
            old(path, 3 - number)
    gone = await apply(store, artifacts, Keep(days=None, max_mb=1))
    assert (gone.artifacts, gone.artifact_bytes > 1_200_000) == (2, True)
    assert [artifacts.get(one.sha256) is not None for one in made] == [False, False, True]
    assert artifacts.get(made[2].sha256, principal="other") is not None


async def test_what_a_killed_process_left_half_made_goes_and_what_is_being_made_and_files_of_others_stay(
    store: Store, artifacts: Artifacts
) -> None:
    kept = artifacts.put(b"whole", "image/png")
    half, now = artifacts.folder / f".{'0' * 16}", artifacts.folder / f".{'1' * 16}"
    unknown, foreign = artifacts.folder / f"{'a' * 64}.png", artifacts.folder / "notes.txt"
    for path in (half, now, unknown, foreign):
        path.write_bytes(b"x")
    for path in (half, unknown, foreign):
        old(path, 1)
    await apply(store, artifacts, Keep())
    expected = {now.name, foreign.name, artifacts.path(kept).name}
    assert {path.name for path in artifacts.folder.iterdir() if path.suffix != ".json"} == expected


async def test_a_server_looks_soon_after_it_has_begun(runs: RunStore, store: Store, artifacts: Artifacts) -> None:
    run_id = await ended(runs)
    await aged(store, 31, run_id)

    async def gone() -> bool | None:
        return None if await runs.list("local") else True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Retention(store, artifacts, MONTH, first=0.01).watch)
        assert await wait.until(runs, run_id, gone, 20)
        tasks.cancel_scope.cancel()


async def test_where_the_database_cannot_be_opened_no_file_goes(artifacts: Artifacts, tmp_path: Path) -> None:
    made = artifacts.put(b"a picture", "image/png")
    for path in artifacts.folder.iterdir():
        old(path, 400)
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "state.db").mkdir()
    store = Store.open(tmp_path / "home" / "state.db", fallback=True)
    assert await apply(store, artifacts) == NOTHING
    assert artifacts.get(made.sha256) == made
    await store.aclose()


async def test_state_in_memory_is_left_alone(artifacts: Artifacts) -> None:
    store = Store.open(None)
    assert await apply(store, artifacts) == NOTHING
    await store.aclose()
