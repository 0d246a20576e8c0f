"""The room that `state.db` takes: how much of it is used, and giving back to the disk what is not.

Pages that a deletion has freed are used again by what is written next. Files of our making also shrink, some
pages at a time, within the writer's transactions; an older one once it was written anew (`compact`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import home

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

INCREMENTAL: Final = 2
"""SQLite's number for a file that can shrink bit by bit."""


def used(connection: sqlite3.Connection) -> int:
    """Bytes of pages that hold something."""
    return (_pragma(connection, "page_count") - _pragma(connection, "freelist_count")) * _pragma(
        connection, "page_size"
    )


def give_back(connection: sqlite3.Connection, pages: int) -> bool:
    """Cut up to so many free pages off the end of the file; True when there are more."""
    if _pragma(connection, "auto_vacuum") != INCREMENTAL:
        return False
    free = _pragma(connection, "freelist_count")
    for _ in range(min(pages, free)):
        # It gives a row without columns for each page, at the first of which Python's cursor stops: so one at a time.
        connection.execute("PRAGMA incremental_vacuum(1)")
    return free > pages


def compact(path: Path) -> None:
    """Write the file anew, without what is free in it. Blocks all writers meanwhile, and needs as much disk again.

    Raises StoreError when another process kept it locked, or the disk is full; then it is as it was.
    """
    try:
        home.prepare(path)
        connection = home.connect(path, write=True)
        try:
            connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    except Exception as error:
        raise home.explain(error) from error


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
