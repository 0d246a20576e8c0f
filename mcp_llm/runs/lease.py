"""Who may write a run: owner, fence and an expiry by the database's clock, as plain statements on a connection.

A fence only grows. Whoever was stopped, and overtaken meanwhile, holds an old one and is refused at its next write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp_llm.errors import Conflict

if TYPE_CHECKING:
    import sqlite3

TTL_S: Final = 10.0
"""Seconds a lease lasts unless it is renewed, which is tried three times as often."""
NOW: Final = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
"""Epoch milliseconds by the database; `unixepoch('subsec')` is the same from SQLite 3.42 on."""

FAR_MS: Final = 60_000
"""A lease that ends later than that, in milliseconds from now, was taken before the clock was set back: it is over.

A driver that lives renews it before anybody looks; of one that is gone it would else last as long as the clock lags.
"""
STALE: Final = f"(owner IS NULL OR expires <= {NOW} OR expires > {NOW} + {FAR_MS})"
"""Nobody drives it, or nobody has renewed it."""

RUNNING: Final = "running"
LIVE: Final = (RUNNING, "waiting")
_LIVE: Final = "status IN ('running', 'waiting')"


def take(connection: sqlite3.Connection, run_id: str, owner: str, ttl_s: float) -> int:
    """Make `owner` the driver of a run that nobody drives; its fence. Raises Conflict."""
    found = connection.execute(
        f"UPDATE runs SET owner = ?, fence = fence + 1, attempts = attempts + 1, status = 'running', "
        f"expires = {NOW} + ?, updated = {NOW} "
        f"WHERE id = ? AND {_LIVE} AND {STALE} RETURNING fence",
        (owner, _ms(ttl_s), run_id),
    ).fetchone()
    if found is None:
        raise Conflict(refusal(connection, run_id))
    return int(found[0])


def refusal(connection: sqlite3.Connection, run_id: str) -> str:
    """Why a run cannot be taken."""
    row = connection.execute(f"SELECT status, expires - {NOW} FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        return f"there is no run {run_id[:80]!r}"
    if row[0] not in LIVE:
        return f"run {run_id} is {row[0]}: there is nothing to go on with"
    left = max(0.0, (row[1] or 0) / 1000)
    return f"another process drives run {run_id}; if that process is gone, the run is free in {left:.0f} s"


def renew(connection: sqlite3.Connection, run_id: str, owner: str, fence: int, ttl_s: float) -> tuple[bool, bool]:
    """(still ours, asked to end); moves the expiry on."""
    row = connection.execute(
        f"UPDATE runs SET expires = {NOW} + ?, updated = {NOW} "
        "WHERE id = ? AND owner = ? AND fence = ? RETURNING cancel",
        (_ms(ttl_s), run_id, owner, fence),
    ).fetchone()
    # Not `RETURNING cancel IS NOT NULL`: SQLite 3.40 gives 1 for it where the column is NULL.
    return (False, False) if row is None else (True, row[0] is not None)


def check(connection: sqlite3.Connection, run_id: str, owner: str, fence: int) -> bool:
    """Raises Conflict unless the run is still ours; True when it was asked to end. In the transaction of the write."""
    row = connection.execute(
        "SELECT cancel IS NOT NULL FROM runs WHERE id = ? AND owner = ? AND fence = ?", (run_id, owner, fence)
    ).fetchone()
    if row is None:
        raise Conflict(f"run {run_id} was taken over by another process, or has ended: this one stops driving it")
    return bool(row[0])


def free(connection: sqlite3.Connection, run_id: str, owner: str, fence: int) -> None:
    """Let go of it without an end, for whoever comes next."""
    connection.execute(
        "UPDATE runs SET owner = NULL, expires = NULL WHERE id = ? AND owner = ? AND fence = ?",
        (run_id, owner, fence),
    )


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
