"""G11: 1,000 calls at once, 2,000 at once, and 10,000 at 5 % faults over two providers: served or told, nothing left.

The faults are 429, 500, a reset before and after the first byte, a stream that is cut off, silence and garbage, all
before the first word: after it, what came is told and nobody is asked again. With 2,000 in the same instant over HTTP
the time until the last is told is that of reading 2,000 requests; one more than there is room for is told at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goals.figure import Figure
from load.crowd import TRANSPORTS
from load.measured import ALL_CLOSED, at_once, in_a_row

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOM = 1000


def measure(full: bool) -> Iterator[Figure]:
    """The crowds are whole in both forms; of the faults the short form has 600 calls over stdio."""
    for transport in TRANSPORTS:
        yield memory(transport)
        crowded = at_once(transport, 2 * ROOM, room=ROOM)
        yield Figure(f"{transport}: of 2,000 at once, neither served nor told", crowded.lost, "", 0)
        yield Figure(f"{transport}: and refused", len(crowded.told), "", ROOM)
        yield Figure(f"{transport}: the last of them told after", max(crowded.told), "ms", 100)
        crowded = at_once(transport, ROOM, room=ROOM, surplus=100)
        yield Figure(f"{transport}: one more of a full house told after", max(crowded.told), "ms", 100)
    for transport in TRANSPORTS if full else TRANSPORTS[:1]:
        calls = 10_000 if full else 600
        row = in_a_row(transport, calls, rest=ALL_CLOSED if full else 2)
        unserved = [answer for answer in row.answers if not answer.served]
        note = f"the first: {unserved[0].text[:200]}" if unserved else ""
        share = 100 * (1 - len(unserved) / calls)
        yield Figure(f"{transport}: of {calls:,} calls at 5 % faults, served", share, "%", 99.9, least=True, note=note)
        for what in ("files", "sockets", "threads", "children"):
            grown = getattr(row.after, what) - getattr(row.before, what)
            yield Figure(f"{transport}: {what} more at the end", grown, "", 0)
        yield Figure(f"{transport}: memory more at the end", row.after.rss - row.before.rss, "MiB", 16)


def memory(transport: str) -> Figure:
    """Peak memory with 1,000 calls under way, all of them served: the other half of G9."""
    crowded = at_once(transport, ROOM, room=ROOM)
    peak = crowded.peak if crowded.served == ROOM else None
    return Figure(f"{transport}: memory with 1,000 calls under way, none refused", peak, "MiB", 256)
