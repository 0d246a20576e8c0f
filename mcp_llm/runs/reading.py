"""The events of a run, read back in their order and checked: one that is damaged or missing ends the reading.

A history with a hole is worse than none: whoever goes on from it would do again what was done.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from mcp_llm.errors import StoreError
from mcp_llm.types.events import decode

if TYPE_CHECKING:
    from mcp_llm.store.sqlite import Store
    from mcp_llm.types.events import Event

PAGE: Final = 500
"""Events read from the database at a time."""


async def events(store: Store, run_id: str, after: int = -1) -> list[Event]:
    """Those after a number. Raises StoreError."""
    found: list[Event] = []
    while True:
        first = found[-1].seq + 1 if found else after + 1
        rows = await store.query(
            "SELECT seq, data, crc FROM run_events WHERE run = ? AND seq >= ? ORDER BY seq LIMIT ?",
            (run_id, first, PAGE),
        )
        found += [_event(run_id, number, *row) for number, row in enumerate(rows, first)]
        if len(rows) < PAGE:
            return found


def _event(run_id: str, number: int, seq: int, data: str, crc: int | None) -> Event:
    if seq != number:
        raise StoreError(f"event {number} of run {run_id} is missing on disk: the run can be read up to there")
    if crc is not None and zlib.crc32(data.encode()) != crc:
        raise StoreError(f"event {seq} of run {run_id} is damaged on disk: the run can be read up to there")
    try:
        return decode(data)
    except ValidationError:
        raise StoreError(f"event {seq} of run {run_id} was written by a newer version: upgrade mcp-llm") from None
