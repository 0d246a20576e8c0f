"""The deadlines of one exchange and the clock that says which of them has passed. Pure: no sockets, no timers.

Moments are seconds of `time.monotonic()`. A wait asks the clock once, when it starts, so a stream of a thousand pieces
costs a thousand comparisons and no timers.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from mcp_llm.errors import Timeout

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds: to connect (TLS included), from the last byte sent to the first of the body, between bytes, in all.

    `data` is for readers that can tell data from what only keeps a connection awake: the seconds for which nothing but
    pings and comments may come. Models think for minutes while their servers ping, and some servers ping while a
    request waits in a queue, so it is no sixty seconds; it is half of the whole by default, which leaves the other half
    for another provider where this one is hung behind a proxy that goes on pinging.
    """

    connect: float = 10.0
    first_byte: float = 60.0
    idle: float = 60.0
    total: float = 600.0
    data: float = 300.0


@dataclass(frozen=True, slots=True)
class Caps:
    """Decoded bytes of a reply read whole, and of one read as a stream."""

    body: int = 32 * MIB
    stream: int = 32 * MIB


class Clock:
    """The deadlines of one exchange, running since it was made."""

    __slots__ = ("_connect_by", "_data_by", "_first_by", "deadlines", "ends", "started")

    def __init__(self, deadlines: Deadlines) -> None:
        self.deadlines = deadlines
        self.started = time.monotonic()
        self.ends = self.started + deadlines.total
        self._first_by: float | None = None
        self._connect_by = math.inf
        self._data_by = math.inf

    def connecting(self) -> float:
        """Seconds that are left to connect."""
        now = time.monotonic()
        if self._connect_by == math.inf:
            self._connect_by = now + self.deadlines.connect
        return max(0.0, min(self._connect_by, self.ends) - now)

    def sent(self) -> None:
        """The request has left: the wait for the answer begins."""
        self._first_by = time.monotonic() + self.deadlines.first_byte

    def answered(self) -> None:
        """The first byte of the body is here: from now on only silence counts."""
        self._first_by = None

    def heard(self, now: float) -> None:
        """Data came, no mere ping: the wait for more of it begins. Whoever never calls this has no such limit."""
        self._data_by = now + self.deadlines.data

    def over(self, now: float) -> bool:
        """Whether no byte that comes now would be in time."""
        return now >= self.ends or now >= self._data_by

    def until(self, now: float) -> float:
        """The moment at which a wait that starts now is too long."""
        limit = now + self.deadlines.idle if self._first_by is None else self._first_by
        return min(limit, self.ends, self._data_by)

    def late(self, *, connecting: bool = False, tls: bool = False) -> Timeout:
        """The error of the deadline that passed; `tls`: while the peer was asked for its certificate."""
        limits = self.deadlines
        now = time.monotonic()
        if now >= self.ends:
            what, name, seconds = "the call was not finished", "total", limits.total
        elif connecting:
            what = "the TLS handshake was not finished" if tls else "no connection was made"
            name, seconds = "connect", limits.connect
        elif self._first_by is not None:
            what, name, seconds = "no byte of the reply came", "first_byte", limits.first_byte
        elif now >= self._data_by:
            what, name, seconds = "nothing but pings came", "data", limits.data
        else:
            what, name, seconds = "nothing was received any more", "idle", limits.idle
        own = ", for one call as `timeout_s`" if name == "total" else ""
        return Timeout(
            f"{what} within {round(seconds, 2):g} s ({name} deadline; it is set as `timeouts.{name}`{own})",
            code="connect" if connecting else None,  # then nothing was sent: it may be tried again, and costs nothing
            # Whoever takes the connection and then says nothing speaks no TLS, or something between us swallows it.
            retry=False if tls else None,
        )
