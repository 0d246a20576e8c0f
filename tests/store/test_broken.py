"""Files that are corrupt, gone, too new, too full, or killed while they are written."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from mcp_llm.errors import StoreError
from mcp_llm.store.schema import MIGRATIONS
from mcp_llm.store.sqlite import Store

if TYPE_CHECKING:
    from pathlib import Path
from store.files import LEARN, LEARNED, learn, overwrite, read_bytes, spawn

pytestmark = pytest.mark.anyio


async def test_close_returns_although_a_write_hangs(store: Store) -> None:
    await store.start()
    release = threading.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(store.write, lambda _: release.wait(10))
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await store.aclose()
        release.set()
    assert any("did not close in time" in note for note in store.notes)


@pytest.mark.parametrize("damage", [b"this is no database at all" * 400, b"SQLite format 3\0" + b"\xff" * 8000])
async def test_a_corrupt_database_is_put_aside_and_a_new_one_made(path: Path, damage: bytes) -> None:
    overwrite(path, damage)
    store = Store.open(path)
    await store.execute(LEARN, ("a", "m", "p", 1))
    assert await store.query(LEARNED) == [("a", 1)]
    aside = [found for found in path.parent.iterdir() if found.name.startswith("state.db.corrupt-")]
    assert [found.read_bytes() for found in aside] == [damage]
    assert aside[0].name in store.notes[0]
    store.close()


async def test_a_database_that_rots_while_open_is_put_aside_and_the_write_succeeds(path: Path) -> None:
    first = Store.open(path)
    for until in range(500):
        first.post(learn, ("a" * 100, "m", str(until), until))
    await first.flush()
    first.close()
    whole = read_bytes(path)
    overwrite(path, whole[:4096] + b"\x5a" * (len(whole) - 4096))
    store = Store.open(path)
    await store.execute(LEARN, ("b", "m", "p", 1))
    assert await store.query(LEARNED) == [("b", 1)]
    assert "corrupt" in store.notes[0]
    store.close()


async def test_a_file_deleted_under_the_store_is_made_anew(store: Store, path: Path) -> None:
    await store.execute(LEARN, ("a", "m", "p", 1))
    for found in path.parent.iterdir():
        found.unlink()
    await store.execute(LEARN, ("b", "m", "p", 2))
    assert await store.query(LEARNED) == [("b", 2)]
    other = Store.open(path)
    assert await other.query(LEARNED) == [("b", 2)]
    other.close()


async def test_a_newer_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    store = Store.open(path)
    with pytest.raises(StoreError, match="upgrade mcp-llm"):
        await store.start()
    store.close()
    assert [found.name for found in path.parent.iterdir() if "corrupt" in found.name] == []


async def test_a_full_disk_is_an_error_for_jobs_and_a_wait_for_posted_rows(store: Store) -> None:
    def limit(pages: int) -> Any:
        return lambda con: con.execute(f"PRAGMA max_page_count = {pages}").fetchone()[0]

    await store.write(limit(1))
    store.post(learn, ("x" * 50_000, "m", "posted", 1))
    with pytest.raises(StoreError, match="full"):
        await store.execute(LEARN, ("x" * 50_000, "m", "waited for", 2))
    # The limit was the old connection's: as if space had been freed.
    await store.flush()
    assert await store.query("SELECT parameter FROM learned") == [("posted",)]
    assert store.lost == 0


WRITE_FOREVER = """
import sys, anyio
from pathlib import Path
from mcp_llm.store.sqlite import Store
async def main():
    store = Store.open(Path(sys.argv[1]))
    for until in range(100_000):
        await store.execute("INSERT INTO learned VALUES (?, 'm', ?, ?)", (sys.argv[2], str(until), until))
        print(until, flush=True)
anyio.run(main)
"""


async def test_what_was_acknowledged_before_a_kill_is_there_afterwards(path: Path) -> None:
    for name in ("first", "second", "third"):
        with spawn(WRITE_FOREVER, path, name) as child:
            assert child.stdout is not None
            told = [int(child.stdout.readline()) for _ in range(40)]
            child.kill()
            told += [int(line) for line in child.stdout.read().splitlines()]
        store = Store.open(path)
        rows = await store.query("SELECT until FROM learned WHERE provider = ? ORDER BY until", (name,))
        kept = [until for (until,) in rows]
        assert kept[: len(told)] == told
        assert (await store.query("PRAGMA integrity_check"), store.notes) == ([("ok",)], ())
        store.close()


WRITE_MANY = """
import sys, anyio
from pathlib import Path
from mcp_llm.store.sqlite import Store
async def main():
    store = Store.open(Path(sys.argv[1]))
    async with anyio.create_task_group() as group:
        for until in range(100):
            group.start_soon(store.execute, "INSERT INTO learned VALUES (?, 'm', ?, 0)", (sys.argv[2], str(until)))
    store.close()
anyio.run(main)
"""


async def test_several_processes_create_and_write_one_file_at_once(path: Path) -> None:
    children = [spawn(WRITE_MANY, path, str(n)) for n in range(4)]
    assert [child.communicate(timeout=60)[0] for child in children] == [""] * 4
    assert [child.returncode for child in children] == [0] * 4
    store = Store.open(path)
    counted = await store.query("SELECT provider, count(*) FROM learned GROUP BY provider ORDER BY provider")
    assert counted == [("0", 100), ("1", 100), ("2", 100), ("3", 100)]
    store.close()
