"""Kills, stops and wakes processes that drive a run, and judges what is left: the histories of tests and goals."""

from __future__ import annotations

import signal
import sqlite3
import time
import zlib
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import anyio

from mcp_llm.runs.recover import standing
from mcp_llm.runs.store import RunStore
from mcp_llm.types.events import ModelEnd, ModelStart, ToolEnd

from .drivers import soon

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from mcp_llm.store.sqlite import Store

    from .drivers import Driver, Drivers

TTL = 0.3
"""Seconds of the drivers' leases."""


@dataclass(frozen=True, slots=True)
class History:
    """What is left of a run whose drivers were killed, against what they were told.

    `gaps` are numbers of events that are missing between others, `torn` events whose checksum is wrong; `repeated` are
    completed steps done again, `in_flight` model calls begun again (at most one a kill), `effects` those done twice.
    """

    kills: int
    acknowledged: int
    lost: int
    gaps: int
    torn: int
    repeated: int
    in_flight: int
    effects: int
    once: int
    """Side effects that happened, each counted once."""
    stale: int
    takeovers: list[float]


async def ready(runs: RunStore) -> str:
    """A run that nobody drives."""
    journal = await runs.create("agent", {"prompt": "go"}, "local")
    await journal.release()
    return journal.run_id


async def heard(driver: Driver, word: str, more_than: int = 0) -> list[list[str]]:
    """Its lines with that word, once there are more than so many."""
    await soon(lambda: len(driver.lines(word)) > more_than)
    return driver.lines(word)


async def killed(store: Store, path: Path, drivers: Drivers, kills: int, chance: random.Random) -> History:
    """Two processes want one run; whichever drives it is killed at a random moment, so many times."""
    run_id = await ready(RunStore(store, ttl_s=TTL))
    takeovers: list[float] = []
    driving, standby = drivers.start(path, run_id, TTL), drivers.start(path, run_id, TTL)
    await soon(lambda: driving.lines("claimed") or standby.lines("claimed"))
    if not driving.lines("claimed"):
        driving, standby = standby, driving
    for _ in range(kills):
        await anyio.sleep(chance.uniform(0, 0.1))  # the moment of the kill is what is random here
        assert not standby.lines("claimed"), "two processes drive one run"
        driving.signal(signal.SIGKILL)
        moment = time.time()
        claimed = await heard(standby, "claimed")
        takeovers.append(float(claimed[0][1]) - moment)
        driving, standby = standby, drivers.start(path, run_id, TTL)
    for one in (driving, standby):
        one.signal(signal.SIGKILL)
    return await judged(store, path, run_id, drivers, takeovers)


async def judged(store: Store, path: Path, run_id: str, drivers: Drivers, takeovers: list[float]) -> History:
    """Read the run again, and compare."""
    events = await RunStore(store).events(run_id)
    stored = {event.seq: event.event for event in events}
    acknowledged = [(int(seq), kind) for one in drivers.started for seq, kind in one.lines("ack")]
    replies = Counter(event.step for event in events if isinstance(event, ModelEnd))
    begun = Counter(event.step for event in events if isinstance(event, ModelStart))
    results = Counter(event.call_id for event in events if isinstance(event, ToolEnd))
    effects = Counter((drivers.folder / "effects").read_text().split())
    fences = [fence for _, fence in rows(path, run_id)]
    state = standing(events)
    assert state.resumed == len(set(fences)) - 1
    assert state.history.replies == len(replies)
    return History(
        kills=len(takeovers),
        acknowledged=len(acknowledged),
        lost=sum(stored.get(seq) != kind for seq, kind in acknowledged),
        gaps=len(events) and events[-1].seq + 1 - len(stored),
        torn=torn(path, run_id),
        repeated=sum(count - 1 for counts in (replies, results) for count in counts.values()),
        in_flight=sum(count - 1 for count in begun.values()),
        effects=sum(count - 1 for count in effects.values()),
        once=len(effects),
        stale=stale(path, run_id),
        takeovers=takeovers,
    )


def rows(path: Path, run_id: str) -> list[tuple[int, int]]:
    """(seq, fence) of a run's events."""
    with closing(sqlite3.connect(path)) as connection, connection:
        found = connection.execute("SELECT seq, fence FROM run_events WHERE run = ? ORDER BY seq", (run_id,)).fetchall()
    connection.close()
    return found


def torn(path: Path, run_id: str) -> int:
    """Events whose text is not what its checksum says."""
    with closing(sqlite3.connect(path)) as connection, connection:
        found = connection.execute("SELECT data, crc FROM run_events WHERE run = ?", (run_id,)).fetchall()
    connection.close()
    return sum(zlib.crc32(data.encode()) != crc for data, crc in found)


def stale(path: Path, run_id: str) -> int:
    """Events that an earlier driver wrote after a later one."""
    return sum(later < earlier for (_, earlier), (_, later) in pairwise(rows(path, run_id)))


async def stopped(store: Store, path: Path, drivers: Drivers, rounds: int) -> History:
    """SIGSTOP whoever drives the run, let another take it over, SIGCONT: so many times."""
    run_id = await ready(RunStore(store, ttl_s=TTL))
    driving = drivers.start(path, run_id, TTL)
    await heard(driving, "ack", 3)
    for _ in range(rounds):
        await stop_between_writes(driving, path)
        following = drivers.start(path, run_id, TTL)
        await heard(following, "ack", 3)
        fence = int(following.lines("claimed")[0][0])
        driving.signal(signal.SIGCONT)
        await heard(driving, "refused")
        assert int(driving.lines("refused")[0][0]) < fence
        driving = following
    driving.signal(signal.SIGKILL)
    return await judged(store, path, run_id, drivers, [0.0] * rounds)


async def stop_between_writes(driver: Driver, path: Path) -> None:
    """SIGSTOP. One that holds SQLite's lock while it is stopped would stop every other writer too: then again."""
    while True:
        driver.signal(signal.SIGSTOP)
        await anyio.sleep(0.03)  # its threads stop when they next come out of the kernel
        connection = sqlite3.connect(path, timeout=0.05, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            return
        except sqlite3.OperationalError:
            driver.signal(signal.SIGCONT)
            await anyio.sleep(0.003)
        finally:
            connection.close()
