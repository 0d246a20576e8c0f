"""Texts too long for a model's window or a host's reply: kept whole by handle, read page by page."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcp_llm.types.text import unbroken

if TYPE_CHECKING:
    import sqlite3

PAGE: Final = 20_000
"""Characters of a page unless the reader says otherwise."""
MOST: Final = 16 * 1024 * 1024
"""Characters kept of one text."""
_PLAIN: Final = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Page:
    """Characters `offset` to `end` of `total`."""

    text: str
    offset: int
    total: int

    @property
    def end(self) -> int:
        """Where the next page begins."""
        return self.offset + len(self.text)

    @property
    def more(self) -> bool:
        """True when there is a next page."""
        return self.end < self.total


def cut(text: str, offset: int, limit: int) -> Page:
    """A page of a text in memory."""
    offset = max(0, offset)
    return Page(text[offset : offset + limit], offset, len(text))


def keep(connection: sqlite3.Connection, run_id: str, call_id: str, text: str) -> str:
    """Store it; the handle is `<run id>.<call id>`. The same call id again replaces the text."""
    name = _PLAIN.sub("-", call_id)[:80] or "text"
    clean = unbroken(text[:MOST]).replace("\0", "\ufffd")  # SQLite's length() ends at NUL
    connection.execute(
        "INSERT INTO run_texts (run, id, created, body) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (run, id) DO UPDATE SET body = excluded.body",
        (run_id, name, time.time_ns() // 1_000_000, clean),
    )
    return f"{run_id}.{name}"


def read(connection: sqlite3.Connection, handle: str, principal: str, offset: int, limit: int) -> Page | None:
    """A page, or None for a handle that is unknown or somebody else's."""
    run_id, _, name = unbroken(handle).partition(".")
    offset = max(0, offset)
    row = connection.execute(
        "SELECT substr(body, ?, ?), length(body) FROM run_texts JOIN runs ON runs.id = run "
        "WHERE run = ? AND run_texts.id = ? AND principal = ?",
        (offset + 1, limit, run_id, name, principal),
    ).fetchone()
    return None if row is None else Page(row[0], offset, row[1])
