"""A state database of an older version: brought up to date whole or not at all, whenever the process is killed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mcp_llm.store.schema import MIGRATIONS

from . import failing
from .failing import Fault

if TYPE_CHECKING:
    from pathlib import Path

OPENING = """
import sys, anyio, pathlib
from mcp_llm.store.sqlite import Store
anyio.run(Store.open(pathlib.Path(sys.argv[1])).start)
"""
ROW = """INSERT INTO ledger (ts, provider, model, operation, outcome, charged, charged_tokens)
VALUES (1, 'a', 'm', 'chat', 'ok', 7, 7)"""


def old(path: Path, version: int) -> None:
    """A database as the version wrote it, with a row."""
    path.unlink(missing_ok=True)
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    for statements in MIGRATIONS[:version]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute(ROW)
    connection.commit()
    connection.close()


def found(path: Path) -> tuple[int, int, str]:
    """Its version, the sum of its rows, and whether it is whole."""
    connection = sqlite3.connect(path)
    told = tuple(
        connection.execute(sql).fetchone()[0]
        for sql in ("PRAGMA user_version", "SELECT sum(charged) FROM ledger", "PRAGMA integrity_check")
    )
    connection.close()
    return told


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_database_of_every_older_version_is_brought_up_to_date(home: Path, version: int) -> None:
    path = home / "state.db"
    old(path, version)
    subprocess.run([sys.executable, "-c", OPENING, str(path)], check=True)
    assert found(path) == (len(MIGRATIONS), 7, "ok")


@pytest.mark.parametrize(("call", "numbers"), [("write", (1, 3, 8, 14, 21)), ("sync", (1, 2, 3, 4))])
def test_one_killed_in_the_middle_of_it_leaves_the_old_or_the_new(
    home: Path, call: str, numbers: tuple[int, ...], report: list[str]
) -> None:
    failing.needs_strace()
    path, versions = home / "state.db", []
    for number in numbers:
        old(path, 1)
        done = failing.run(Fault(call, "kill", number), ["usage", "--since", "all"], home)
        versions.append(found(path)[0])
        assert found(path) in {(1, 7, "ok"), (len(MIGRATIONS), 7, "ok")}
        again = failing.run(None, ["usage", "--since", "all"], home)
        assert (again.code, again.stderr, found(path)) == (0, "", (len(MIGRATIONS), 7, "ok"))
        assert done.struck or number == numbers[-1]
    report.append(f"killed at the {call} number {numbers} of a migration: then the version was {versions}")


def test_several_at_once_bring_it_up_to_date_once(home: Path) -> None:
    path = home / "state.db"
    old(path, 1)
    children = [subprocess.Popen([sys.executable, "-c", OPENING, str(path)]) for _ in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    assert found(path) == (len(MIGRATIONS), 7, "ok")
