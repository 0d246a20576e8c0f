"""Old runs and conversations in SQL, as functions of a connection; each does a little, so that nobody waits behind it.

A run goes with all that is below it, or stays with it. What has no end yet stays while somebody drives it, and for a
span of its own once nobody does; and so does all that it will need to be gone on with: its family, and the runs that it
names.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from . import lease

if TYPE_CHECKING:
    import sqlite3

SLICE_S: Final = 0.03
"""Seconds after which a transaction leaves the rest to the next: that long a call may wait for its row."""
_AT_ONCE: Final = 200
_OPEN: Final = f"(status IN ('running', 'waiting') AND NOT (updated < ?2 AND {lease.STALE}))"
"""It can be gone on with: it has no end, and was not left alone since before the second parameter."""
_RUN: Final = re.compile(r"[0-9a-f]{32}")
_ARTIFACT: Final = re.compile(r"[0-9a-f]{64}")
_BELOW: Final = "SELECT ?1 UNION SELECT runs.id FROM runs JOIN tree ON runs.parent = tree.id"
_TREE: Final = f"WITH RECURSIVE tree (id) AS ({_BELOW}) SELECT id, {_OPEN}, updated FROM runs WHERE id IN tree"
_ROOTS: Final = (
    f"SELECT id, updated FROM runs AS one WHERE updated < ?1 AND (updated, id) > (?3, ?4) AND NOT {_OPEN} "
    "AND (parent IS NULL OR NOT EXISTS (SELECT 1 FROM runs WHERE id = one.parent)) "
    f"ORDER BY updated, id LIMIT {_AT_ONCE}"
)
_THREADS: Final = f"SELECT id, updated FROM threads WHERE updated < ? ORDER BY id LIMIT {_AT_ONCE} OFFSET ?"


@dataclass(slots=True)
class Needed:
    """What runs without an end need: ids of runs, words of what they were asked, hashes of artifacts."""

    runs: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    artifacts: set[str] = field(default_factory=set)


def needed(connection: sqlite3.Connection, left_alone: int) -> Needed:
    """Look through what has no end, its family, and the runs that those name.

    Without what nobody has driven since `left_alone`, an epoch millisecond.
    """
    found = Needed()
    left = [row[0] for row in connection.execute(f"SELECT id FROM runs WHERE {_OPEN}", (None, left_alone))]
    while left:
        if (run_id := left.pop()) in found.runs:
            continue
        row = connection.execute("SELECT parent, request, result FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            continue
        found.runs.add(run_id)
        parent, *texts = row
        texts = [text for text in texts if text]
        found.asked += texts[:1]
        left += [] if parent is None else [parent]
        left += [one for text in texts for one in _RUN.findall(text)]
        left += [row[0] for row in connection.execute("SELECT id FROM runs WHERE parent = ?", (run_id,))]
        for table, column in (("run_events", "data"), ("run_texts", "body")):
            naming = f"SELECT {column} FROM {table} WHERE run = ? AND instr({column}, 'artifacts://') > 0"
            texts += [row[0] for row in connection.execute(naming, (run_id,))]
        found.artifacts.update(one for text in texts for one in _ARTIFACT.findall(text))
    return found


def runs(
    connection: sqlite3.Connection, before: int, after: tuple[int, str], spared: set[str], left_alone: int
) -> tuple[int, tuple[int, str] | None]:
    """Delete runs last changed before an epoch millisecond; (how many, where to go on: None at the end).

    Those without an end only where nobody has driven them since `left_alone`.
    """
    count, until = 0, time.monotonic() + SLICE_S
    roots = connection.execute(_ROOTS, (before, left_alone, *after)).fetchall()
    for root, updated in roots:
        tree = connection.execute(_TREE, (root, left_alone)).fetchall()
        if all(not open_ and changed < before and one not in spared for one, open_, changed in tree):
            connection.executemany("DELETE FROM runs WHERE id = ?", [(one,) for one, _, _ in tree])
            count += len(tree)
        after = (updated, root)
        if time.monotonic() > until:
            return count, after
    return count, after if len(roots) == _AT_ONCE else None


def threads(connection: sqlite3.Connection, before: int, skip: int, asked: list[str]) -> tuple[int, int | None]:
    """Delete conversations nobody went on with since; (how many, how many to skip next: None at the end).

    `asked` is what runs without an end were asked: the conversations that it names stay.
    """
    count, until = 0, time.monotonic() + SLICE_S
    rows = connection.execute(_THREADS, (before, skip)).fetchall()
    for thread, _ in rows:
        if any(thread in text for text in asked):
            skip += 1
        else:
            connection.execute("DELETE FROM threads WHERE id = ?", (thread,))
            count += 1
        if time.monotonic() > until:
            return count, skip
    return count, skip if len(rows) == _AT_ONCE else None


def calls(connection: sqlite3.Connection, before: int) -> tuple[int, bool]:
    """Delete rows of the ledger of calls begun before; (how many, whether there are more)."""
    some = f"SELECT id FROM ledger WHERE ts < ? ORDER BY ts LIMIT {5 * _AT_ONCE}"
    count = connection.execute(f"DELETE FROM ledger WHERE id IN ({some})", (before,)).rowcount
    return count, count == 5 * _AT_ONCE


def oldest(connection: sqlite3.Connection) -> int | None:
    """When the run or conversation that was left alone the longest was last changed."""
    row = connection.execute(
        "SELECT min(updated) FROM (SELECT min(updated) AS updated FROM runs UNION ALL SELECT min(updated) FROM threads)"
    ).fetchone()
    return None if row[0] is None else int(row[0])
