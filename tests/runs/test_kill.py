"""Processes killed, stopped and woken while they drive a run: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import random
import signal
import statistics
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.runs.store import RunStore

from .killing import TTL, killed, ready, rows, stopped

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.store.sqlite import Store

pytestmark = pytest.mark.anyio

KILLS, STOPS = 30, 3
"""The goals G1, G2 and G4 have their thousand and their hundred."""


async def test_kill_9_loses_no_acknowledged_event_and_repeats_no_completed_step(
    store: Store, path: Path, drivers: Any, report: list[str]
) -> None:
    found = await killed(store, path, drivers, KILLS, random.Random(7))
    report.append(
        f"kill -9 x {KILLS}: {found.acknowledged} acknowledged events, {found.lost} lost; takeover at most "
        f"{max(found.takeovers):.2f} s with a lease of {TTL} s; {found.once} side effects, {found.effects} twice"
    )
    assert found.acknowledged > KILLS
    assert (found.lost, found.gaps, found.torn, found.stale) == (0, 0, 0, 0)
    assert (found.repeated, found.effects) == (0, 0)
    assert found.in_flight <= KILLS
    # The figure is printed; what a busy machine adds to single rounds is not the lease's.
    assert statistics.median(found.takeovers) <= TTL + 1
    assert max(found.takeovers) <= TTL + 10


async def test_a_process_that_slept_through_a_takeover_is_refused_and_writes_nothing(
    store: Store, path: Path, drivers: Any, report: list[str]
) -> None:
    found = await stopped(store, path, drivers, STOPS)
    report.append(f"SIGSTOP/SIGCONT x {STOPS}: {found.stale} stale writes accepted")
    assert (found.stale, found.gaps, found.lost, found.repeated, found.effects) == (0, 0, 0, 0, 0)


async def test_of_many_processes_that_want_a_run_one_gets_it(store: Store, path: Path, drivers: Any, soon: Any) -> None:
    runs = RunStore(store, ttl_s=TTL)
    run_id = await ready(runs)
    wanting = [drivers.start(path, run_id, 30) for _ in range(6)]
    owner = await soon(lambda: [one for one in wanting if len(one.lines("ack")) > 20])
    assert [one for one in wanting if one.lines("claimed")] == owner
    assert {fence for _, fence in rows(path, run_id)} == {int(owner[0].lines("claimed")[0][0])}
    for one in wanting:
        one.signal(signal.SIGKILL)
