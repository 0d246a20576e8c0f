"""Waiting for a run: woken at once where this process drives it, by slowing looks at the database elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from . import lease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .questions import Question
    from .store import RunInfo, RunStore

T = TypeVar("T")

FIRST: Final = 0.05
SLOWEST: Final = 1.0
"""Seconds between looks, growing by half each time; also how late a change by another process is seen at most."""


async def until(
    runs: RunStore, run_id: str, look: Callable[[], Awaitable[T | None]], timeout_s: float | None
) -> T | None:
    """What `look` gives as soon as it is not None; None when the time is over. It looks at least once."""
    deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    pause = FIRST
    while True:
        driven = runs.driven(run_id) is not None
        signal = runs.signal(run_id) if driven else None  # before the look: a change after it is not missed
        if (found := await look()) is not None:
            return found
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        with anyio.move_on_after(min(left, SLOWEST if signal is not None else pause)):
            await (anyio.sleep_forever() if signal is None else signal.wait())
        pause = min(SLOWEST, pause * 1.5)


async def ended(
    runs: RunStore, run_id: str, principal: str, timeout_s: float | None, *, grace_s: float = 0, asking: bool = False
) -> RunInfo:
    """The run once it needs nobody's patience any more: ended, waiting for an answer, or interrupted.

    Gives it as it is when the time is over. An interruption has to last for `grace_s` seconds: a run that is about to
    be taken up by somebody needs no one's help. `asking`: one that waits for an answer is waited for, too, as it was
    told to end. Raises InvalidInput for an unknown run.
    """
    since: float | None = None
    going = lease.LIVE if asking else (lease.RUNNING,)

    async def look() -> RunInfo | None:
        nonlocal since
        status, _ = await runs.position(run_id, principal)
        if status == "interrupted":
            since = since or time.monotonic()
            if time.monotonic() - since < grace_s:
                return None
        else:
            since = None
        return await runs.get(run_id, principal) if status not in going else None

    return await until(runs, run_id, look, timeout_s) or await runs.get(run_id, principal)


async def changed(
    runs: RunStore, run_id: str, principal: str, before: tuple[str, int], timeout_s: float | None
) -> tuple[str, int] | None:
    """(status, last event) as soon as it differs from `before`, or None."""

    async def look() -> tuple[str, int] | None:
        now = await runs.position(run_id, principal)
        return now if now != before else None

    return await until(runs, run_id, look, timeout_s)


async def answered(runs: RunStore, run_id: str, question_id: str, timeout_s: float | None) -> Question | None:
    """The question with its answer, or None when none came in time; for whoever drives the run."""

    async def look() -> Question | None:
        found = [one for one in await runs.questions(run_id) if one.id == question_id]
        return found[0] if found and found[0].answered is not None else None

    return await until(runs, run_id, look, timeout_s)
