"""A state database that was damaged from outside: refused or set aside and said so, never emptied in silence."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_llm.app import open_app
from mcp_llm.config import load
from mcp_llm.errors import StoreError
from mcp_llm.runs.store import RunStore
from mcp_llm.store.sqlite import Store
from mcp_llm.types.events import Finish, TextEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(os.name != "posix", reason="files of POSIX")]

RUNS = 12


@pytest.fixture
def path(home: Path) -> Path:
    """A database with some runs in it, closed cleanly."""

    async def make() -> None:
        store = Store.open(home / "state.db")
        await fill(store)
        store.close()

    anyio.run(make)
    return home / "state.db"


async def fill(store: Store) -> None:
    runs = RunStore(store)
    for number in range(RUNS):
        journal = await runs.create("agent", {"prompt": "x" * 500}, "local", run_id=f"{number:032x}")
        await journal.append(TextEvent(text="y" * 2000))
        await journal.finish(Finish(result="done"))


async def with_log(path: Path, change: Callable[[bytes], bytes]) -> None:
    """The database as a killed process leaves it, its log not yet in it; the log changed."""
    store = Store.open(path)
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM runs").fetchall()  # while somebody reads, the log stays
    await store.execute("UPDATE runs SET model = 'late'")
    log = path.with_name("state.db-wal")
    kept = read(path), read(log)
    store.close()
    reader.close()
    write(path, kept[0])
    write(log, change(kept[1]))
    path.with_name("state.db-shm").unlink(missing_ok=True)


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def aside(path: Path) -> list[str]:
    return sorted(found.name for found in path.parent.iterdir() if "corrupt" in found.name)


async def models(store: Store) -> dict[str | None, int]:
    return dict(await store.query("SELECT model, count(*) FROM runs GROUP BY model"))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: whole[: len(whole) // 2], id="cut in half"),
        pytest.param(lambda whole: whole[:4096], id="cut after the first page"),
        pytest.param(lambda whole: whole[:50], id="cut in its header"),
        pytest.param(lambda whole: bytes(len(whole)), id="zeros"),
        pytest.param(lambda whole: b"\n".join([b"not a database"] * 999), id="text"),
    ],
)
def test_a_damaged_file_is_set_aside_whole_and_the_doctor_says_so_ever_after(
    path: Path, damage: Callable[[bytes], bytes], run: Any
) -> None:
    left = damage(path.read_bytes())
    path.write_bytes(left)
    first = run("runs", "list")
    (name,) = aside(path)
    assert path.with_name(name).read_bytes() == left
    assert first.returncode == 0
    assert f"The state database was corrupt. It was renamed to {name}" in first.stderr
    doctor = run("doctor").stdout
    assert f"a state database was found corrupt and set aside as {name}" in doctor
    assert "the state folder can be written" in doctor


def test_a_page_that_rots_is_told_of_and_nothing_is_taken_away(path: Path, run: Any) -> None:
    whole = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection, connection:
        sql = "SELECT pageno FROM dbstat WHERE name = 'run_events' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1"
        try:
            page = connection.execute(sql).fetchone()[0]
        except sqlite3.OperationalError:  # built without dbstat
            page = whole.index(b"y" * 1000) // 4096 + 1
    connection.close()
    path.write_bytes(whole[: 4096 * (page - 1)] + b"\x5a" * 4096 + whole[4096 * page :])
    doctor = run("doctor").stdout
    assert "the state database is damaged" in doctor
    assert ".recover" in doctor
    assert aside(path) == []
    assert run("runs", "list").stdout.count("finished") == RUNS


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
async def test_a_torn_log_loses_only_what_was_not_acknowledged(path: Path, kept: float) -> None:
    await with_log(path, lambda log: log[: int(len(log) * kept)])
    store = Store.open(path)
    assert await models(store) == {None: RUNS}
    assert (await store.query("PRAGMA integrity_check"), store.notes, aside(path)) == ([("ok",)], (), [])
    store.close()


async def test_a_log_that_is_whole_is_read_and_one_that_was_overwritten_is_not(path: Path) -> None:
    await with_log(path, lambda log: log)
    store = Store.open(path)
    assert await models(store) == {"late": RUNS}
    store.close()
    await with_log(path, lambda log: log[:32] + b"\xa5" * (len(log) - 32))
    again = Store.open(path)
    assert (await models(again), again.notes) == ({"late": RUNS}, ())
    again.close()


async def test_an_empty_file_with_a_log_is_no_new_database(path: Path) -> None:
    await with_log(path, lambda log: log)
    log = read(path.with_name("state.db-wal"))
    write(path, b"")
    store = Store.open(path)
    await store.start()
    names = aside(path)
    assert [read(path.with_name(name)) for name in names] == [b"", log]
    assert names[1] == f"{names[0]}-wal"
    assert names[0] in store.notes[0]
    store.close()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))
    path.symlink_to(path.with_name("elsewhere.db"))


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def foreign(path: Path) -> None:
    os.chown(path, 65534, 65534)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (folder, "state.db is a link or not a file: remove it"),
        (link, "state.db is a link or not a file: remove it"),
        (fifo, "state.db is a link or not a file: remove it"),
        pytest.param(
            foreign,
            "state.db belongs to another user: `chown` it",
            marks=pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root gives files away"),
        ),
    ],
)
def test_what_is_not_our_file_is_refused_and_left_as_it_was(
    path: Path, make: Callable[[Path], None], says: str, run: Any
) -> None:
    make(path)
    before = path.lstat()
    with pytest.raises(StoreError, match=says):
        anyio.run(Store.open(path).start)
    for words in (["runs", "list"], ["usage"], ["ask", "-m", "demo", "hello"]):
        done = run(*words)
        assert done.returncode == 0
        assert says in done.stderr
        assert "Until then state is kept in memory" in done.stderr
    assert says in run("doctor").stdout
    after = path.lstat()
    assert (after.st_ino, after.st_mode, after.st_uid) == (before.st_ino, before.st_mode, before.st_uid)


async def test_a_file_open_to_others_is_closed_to_them(path: Path) -> None:
    os.chmod(path, 0o666)
    store = Store.open(path)
    assert await models(store) == {None: RUNS}
    assert os.stat(path).st_mode & 0o777 == 0o600
    store.close()


async def test_a_home_deleted_while_it_is_used_is_made_again_with_what_is_written_then(path: Path) -> None:
    store = Store.open(path, fallback=True)
    assert await models(store) == {None: RUNS}
    shutil.rmtree(path.parent)
    await fill(store)
    assert (store.durable, store.notes) == (True, ())
    store.close()
    again = Store.open(path)
    assert await models(again) == {None: RUNS}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    again.close()


async def test_a_home_that_cannot_be_used_for_a_while_does_not_turn_a_server_to_memory(path: Path) -> None:
    said: list[str] = []
    store = Store.open(path, fallback=True, told=said.append)
    await store.start()
    path.parent.rename(path.parent.with_name("away"))
    path.parent.write_text("in its place")
    with pytest.raises(StoreError, match="is not a folder"):
        await store.execute("UPDATE runs SET model = 'lost'")
    path.parent.unlink()
    path.parent.with_name("away").rename(path.parent)
    assert await models(store) == {None: RUNS}
    await store.execute("UPDATE runs SET model = 'kept'")
    assert (store.durable, await models(store)) == (True, {"kept": RUNS})
    assert (len(said), store.notes) == (1, tuple(said))
    store.close()


@pytest.mark.parametrize(
    "name", ["with space", "ünï🦜", "per%20cent", "a?b#c&d=e", "'quote\"", "-rf", "new\nline", "x" * 200]
)
async def test_a_home_may_have_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "state.db"
    store = Store.open(path)
    await fill(store)
    store.close()
    again = Store.open(path)
    assert (await models(again), again.notes) == ({None: RUNS}, ())
    assert sorted(found.name for found in path.parent.iterdir()) == ["state.db", "state.db-shm", "state.db-wal"]
    again.close()


def nowhere(connection: sqlite3.Connection, rows: list[Any]) -> None:
    connection.executemany("INSERT INTO nowhere VALUES (?)", rows)


async def test_every_note_of_the_store_is_told_at_the_end_not_only_the_first(home: Path) -> None:
    write(home / "state.db", b"no database" * 999)
    config = load()
    async with open_app(config) as app:
        await app.store.start()
        app.store.post(nowhere, ("x",))
    first, second = config.problems[-2:]
    assert first.startswith("The state database was corrupt. It was renamed to ")
    assert second == "Rows that could not be written to the state database and are lost: 1."
