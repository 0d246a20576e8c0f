"""How much is asked of one provider at once and a minute, and how many calls this process takes at all."""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

import anyio

from mcp_llm.errors import Busy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_llm.catalog.schema import Limits

MINUTE = 60.0


class Rate:
    """At most `limit` units in any window of 60 seconds; whoever comes too early waits for room."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used: deque[tuple[float, int]] = deque()
        self._sum = 0

    async def take(self, units: int) -> None:
        """Wait until this many units fit, then use them. More than the limit at once waits for an empty window."""
        units = min(units, self._limit)
        while True:
            now = anyio.current_time()
            while self._used and self._used[0][0] <= now - MINUTE:
                self._sum -= self._used.popleft()[1]
            if self._sum + units <= self._limit:
                self._used.append((now, units))
                self._sum += units
                return
            await anyio.sleep_until(self._used[0][0] + MINUTE)


class Gate:
    """The limits of one provider. Without any it costs nothing."""

    def __init__(self, limits: Limits) -> None:
        self._slots = anyio.Semaphore(limits.concurrency) if limits.concurrency else None
        self._requests = Rate(limits.requests_per_minute) if limits.requests_per_minute else None
        self._tokens = Rate(limits.tokens_per_minute) if limits.tokens_per_minute else None
        self.free = not (self._slots or self._requests or self._tokens)

    @asynccontextmanager
    async def enter(self, tokens: int) -> AsyncIterator[None]:
        """Hold one of the provider's slots; `tokens` is the estimate that counts against its minute."""
        # The slot first: who still waits for one sends nothing, and must not use up the minute.
        async with self._slots or nullcontext():
            if self._requests:
                await self._requests.take(1)
            if self._tokens:
                await self._tokens.take(max(1, tokens))
            yield


class Calls:
    """Counts the calls in flight in this process; one too many is answered Busy at once instead of piling up."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.running = 0

    def __enter__(self) -> None:
        if self.running >= self._limit:
            raise Busy(f"{self._limit} calls are in flight; try again in a second", retry_after=1.0)
        self.running += 1

    def __exit__(self, *_: object) -> None:
        self.running -= 1
