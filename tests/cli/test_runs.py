"""`mcp-llm runs`, beside a server or after it: a process of its own on the same state."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_llm.runs.store import RunStore
from mcp_llm.store.sqlite import Store
from mcp_llm.types.events import Approval, ErrorEvent, Finish, Start, TextEvent, decode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


@pytest.fixture
def stored(home: Path) -> Callable[[Callable[[RunStore], Awaitable[Any]]], Any]:
    """Does something with the runs of the home, in this process."""

    def work(todo: Callable[[RunStore], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            store = Store.open(home / "state.db")
            try:
                return await todo(RunStore(store))
            finally:
                await store.aclose()

        return anyio.run(main)

    return work


async def _finished(runs: RunStore) -> str:
    journal = await runs.create("agent", {"prompt": "tidy"}, "local", model="m")
    await journal.append(Start(prompt="tidy"))
    journal.note(TextEvent(text="line one\u2028still"))
    await journal.finish(Finish(result="all tidy"))
    return journal.run_id


async def _interrupted(runs: RunStore) -> str:
    journal = await runs.create("generate", {"arguments": {"prompt": "hi", "model": "demo"}}, "local")
    await journal.append(Start(prompt="hi"))
    journal.note(TextEvent(text="half"))
    await journal.release()
    return journal.run_id


def test_runs_are_listed_read_and_exported(run: Any, stored: Any) -> None:
    run_id = stored(_finished)
    listed, as_json = run("runs", "list"), run("runs", "list", "--json", "--status", "finished")
    read, part = run("runs", "read", run_id), run("runs", "read", run_id, "--offset", "4", "--limit", "2")
    exported = run("runs", "export", run_id, "--jsonl")
    assert run_id in listed.stdout
    assert "finished" in listed.stdout
    assert [row["run_id"] for row in json.loads(as_json.stdout)] == [run_id]
    assert (read.stdout, part.stdout) == ("all tidy\n", "ti\n")
    found = [decode(line) for line in exported.stdout.splitlines()]
    assert [event.event for event in found] == ["start", "text", "finish"]
    assert [event.seq for event in found] == [0, 1, 2]
    assert {done.returncode for done in (listed, as_json, read, part, exported)} == {0}


def test_a_run_that_says_more_than_its_line_holds_ends_in_dots(run: Any) -> None:
    assert run("ask", "-m", "demo", "one two").returncode == 0
    line = run("runs", "list").stdout.splitlines()[1]
    assert line.endswith("This is mcp-llm's built-in demo, not a language model. It...")


def test_waiting_gives_the_result_and_its_exit_code(run: Any, stored: Any) -> None:
    async def failed(runs: RunStore) -> str:
        journal = await runs.create("agent", {}, "local")
        await journal.finish(ErrorEvent(error="no key", kind="auth", partial="half"))
        return journal.run_id

    done, broken = run("runs", "wait", stored(_finished)), run("runs", "wait", stored(failed))
    assert (done.returncode, done.stdout) == (0, "all tidy\n")
    assert (broken.returncode, broken.stdout) == (1, "half\n")
    assert "no key" in broken.stderr


def test_an_interrupted_call_is_asked_again_only_when_told_to(run: Any, stored: Any) -> None:
    run_id = stored(_interrupted)
    found, refused = run("runs", "wait", run_id), run("runs", "resume", run_id)
    again, twice = run("runs", "resume", run_id, "--again"), run("runs", "resume", run_id, "--again")
    assert (found.returncode, found.stdout) == (1, "half\n")
    assert "[interrupted]" in found.stderr
    assert refused.returncode == 2
    assert "may have been paid" in refused.stderr
    assert again.returncode == 0
    assert again.stdout.startswith("This is mcp-llm's built-in demo")
    assert (twice.returncode, "is finished" in twice.stderr) == (2, True)


def test_a_run_is_answered_and_cancelled(run: Any, stored: Any, home: Path) -> None:
    async def asking(runs: RunStore) -> str:
        journal = await runs.create("agent", {}, "local")
        await journal.ask(Approval(tool="t", call_id="c", state="asked"), "c", {"tool": "t"})
        return journal.run_id

    run_id = stored(asking)
    answered = run("runs", "answer", run_id, "yes")
    assert (answered.returncode, "answered c" in answered.stderr) == (0, True)
    with closing(sqlite3.connect(home / "state.db")) as connection, connection:
        assert connection.execute("SELECT answer FROM run_questions").fetchall() == [("true",)]
        connection.execute("UPDATE runs SET expires = 1")
    connection.close()
    cancelled = run("runs", "cancel", run_id)
    assert (cancelled.returncode, "cancelled" in cancelled.stderr) == (0, True)


@pytest.mark.parametrize("action", ["wait", "read", "cancel", "resume", "export"])
def test_an_unknown_run_is_told(run: Any, action: str) -> None:
    done = run("runs", action, "nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no run 'nope'" in done.stderr


def test_old_runs_are_let_go_of_by_hand_and_the_database_is_written_anew(run: Any, stored: Any, home: Path) -> None:
    with closing(sqlite3.connect(home / "state.db")) as older:  # as it was made before files could shrink
        older.execute("CREATE TABLE somebodys (id INTEGER)")
        older.commit()
    kept, gone = stored(_interrupted), stored(_finished)
    spent = run("runs", "prune", "--json")
    assert json.loads(spent.stdout) | {"bytes": 0} == dict.fromkeys(
        ("runs", "conversations", "artifacts", "artifact_bytes", "calls", "bytes"), 0
    )
    with closing(sqlite3.connect(home / "state.db")) as state:
        months_ago = int(time.time() - 100 * 86_400) * 1000
        state.execute("UPDATE runs SET updated = ?, result = ?", (months_ago, "x" * 2_000_000))
        state.commit()
    told = run("runs", "prune", "--days", "30", "--compact")
    assert told.stdout.startswith("gone: 1 runs, 0 conversations, 0 artifacts (0 bytes), 0 rows of the token log; ")
    assert "there is no run" in run("runs", "read", gone).stderr
    assert run("runs", "read", kept).returncode == 0
    assert 2_000_000 < (home / "state.db").stat().st_size < 3_000_000
    with closing(sqlite3.connect(home / "state.db")) as state:
        assert state.execute("PRAGMA auto_vacuum").fetchone() == (2,)
