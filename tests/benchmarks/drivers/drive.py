"""What every driver shares: a peer has `call(base)` and `stream(base)`; the cases and the clock are here.

Reads its plan as JSON from argv: {"base": "http://127.0.0.1:port", "cases": [...], "share": of the usual number of
calls}. Prints by case, as JSON: microseconds of CPU a call or delta, milliseconds to the first token, or megabytes.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

PROMPT = "Say something about foxes. " * 8
SAID = "The quick brown fox jumps over the lazy dog. " * 20
DELTAS, PACED, STREAMS, GAP = 1000, 50, 32, 20_000
FLIGHT, SLOW, LONG_GAP = 1000, 10, 300_000


class Peer(Protocol):
    """A client library, opened on a base URL that ends in /v1."""

    async def call(self, base: str) -> str: ...

    def stream(self, base: str) -> AsyncIterator[object]: ...


async def _many(call: Callable[[], Awaitable[object]], count: int, at_once: int) -> float:
    """CPU seconds of `count` calls, `at_once` in flight."""
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await call()

    started = time.process_time()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return time.process_time() - started


async def _drain(stream: AsyncIterator[object]) -> None:
    any_ = False
    async for _ in stream:
        any_ = True
    assert any_, "a stream gave nothing"


async def _first(stream: AsyncIterator[object]) -> float:
    started = time.perf_counter()
    first = 0.0
    async for _ in stream:
        first = first or time.perf_counter() - started
    return first


async def _case(peer: Peer, base: str, case: str, share: float) -> float:
    kind, _, number = case.partition(" ")
    short, burst, paced, slow = (
        f"{base}/{path}/v1" for path in ("n20/g0", f"n{DELTAS}/g0", f"n{PACED}/g{GAP}", f"n{SLOW}/g{LONG_GAP}")
    )
    if kind == "call":
        at_once = int(number)
        count = max(at_once, round({1: 300, 32: 640}.get(at_once, 1024) * share))
        assert await peer.call(short) == SAID
        await _many(lambda: peer.call(short), max(at_once, 10), at_once)
        return await _many(lambda: peer.call(short), count, at_once) / count * 1e6
    if kind == "burst":
        await _drain(peer.stream(burst))
        return await _many(lambda: _drain(peer.stream(burst)), 8, 1) / (8 * DELTAS) * 1e6
    if kind == "paced":
        await _drain(peer.stream(short))
        return await _many(lambda: _drain(peer.stream(paced)), STREAMS, STREAMS) / (STREAMS * PACED) * 1e6
    if kind == "first":
        for _ in range(5):
            await _drain(peer.stream(short))
        return statistics.median([await _first(peer.stream(short)) for _ in range(40)]) * 1e3
    if kind == "flight":
        await _many(lambda: _drain(peer.stream(slow)), FLIGHT, FLIGHT)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    raise ValueError(case)


def main(open_peer: Callable[[], Any]) -> None:
    """Run the plan with `open_peer()`, an async context manager that gives a Peer."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    plan = json.loads(sys.argv[1])

    async def run(case: str) -> float:
        # A client of its own for every case: idle connections left by one would cost every call of the next.
        async with open_peer() as peer:
            return await _case(peer, plan["base"], case, plan["share"])

    print(json.dumps({case: asyncio.run(run(case)) for case in plan["cases"]}))
