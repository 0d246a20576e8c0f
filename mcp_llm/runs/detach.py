"""Work that outlives its call: it runs in the server's task group, and the call waits for it only so long.

Until the call has handed back a run id, a client that cancels or vanishes ends the work; after that only `runs` does.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import anyio
import anyio.lowlevel

from mcp_llm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

T = TypeVar("T")

logger = logging.getLogger(__name__)

ENDING: Final = 5.0
"""Seconds a cancelled call waits for its work to let go of sockets and rows."""


@dataclass(frozen=True, slots=True)
class Finished(Generic[T]):
    """The work was done in time."""

    value: T


@dataclass(frozen=True, slots=True)
class Running:
    """It goes on; `partial` is what there is so far."""

    run_id: str
    partial: str = ""


@dataclass(slots=True)
class Outcome(Generic[T]):
    """How detached work ended: `value`, or `error`; `cancelled` when it was ended from outside."""

    value: T | None = None
    error: Exception | None = None
    cancelled: bool = False


async def run_detachable(
    tasks: TaskGroup,
    work: Callable[[], Awaitable[T]],
    *,
    deadline_s: float,
    detach: Callable[[Callable[[], None]], Awaitable[Running | None]],
    settle: Callable[[Outcome[T]], Awaitable[None]] | None = None,
    hurry: Callable[[Callable[[], None]], None] | None = None,
) -> Finished[T] | Running:
    """Do the work and wait up to `deadline_s` seconds for it; then call `detach(stop)` and hand back what it gives.

    Raises what the work raises while somebody waits. `detach` makes the run known (its journal) and is given the
    function that ends the work. `settle` is called, shielded, when detached work is over; nobody else hears of its
    errors. Where `detach` gives None the run cannot be made known, and the call waits on. `hurry` is given a function
    that ends the call's patience early: the work waits for a person, say.
    """
    started = time.monotonic()
    outcome: Outcome[T] = Outcome()
    scope, done = anyio.CancelScope(), anyio.Event()
    known = False

    async def drive() -> None:
        ended = False
        try:
            with scope:
                try:
                    outcome.value = await work()
                except Exception as exc:
                    outcome.error = exc
                ended = True
        finally:
            outcome.cancelled = not ended
            if known:
                with anyio.CancelScope(shield=True):
                    await _settle(settle, outcome)
            done.set()

    tasks.start_soon(drive)
    try:
        with anyio.move_on_after(max(0.0, deadline_s - (time.monotonic() - started))) as patience:
            if hurry is not None:
                hurry(patience.cancel)
            await done.wait()
        if not done.is_set():
            with anyio.CancelScope(shield=True):
                running = await detach(scope.cancel)
                known = running is not None
                if known and done.is_set():  # it ended before `drive` could know
                    await _settle(settle, outcome)
            # A client that went while the run was being made known never got its id: nobody wants the work.
            await anyio.lowlevel.checkpoint_if_cancelled()
            if running is not None and not done.is_set():
                return running
            await done.wait()
    except BaseException:
        scope.cancel()
        with anyio.CancelScope(shield=True), anyio.move_on_after(ENDING):
            await done.wait()
        raise
    if outcome.error is not None:
        raise outcome.error
    if outcome.cancelled:
        raise Error("the run was cancelled")
    return Finished(outcome.value)  # type: ignore[arg-type]  # neither error nor cancelled: it was set


async def _settle(settle: Callable[[Outcome[T]], Awaitable[None]] | None, outcome: Outcome[T]) -> None:
    """Nobody waits any more: what fails here may not take the server's other work with it."""
    try:
        if settle is not None:
            await settle(outcome)
    except Error as exc:  # the disk, or another process: the journal writes the end when it can
        logger.warning("the end of a detached run could not be written: %s", exc)
    except Exception:  # a fault of ours, in a task group that everybody's work is in
        logger.exception("the end of a detached run could not be written")
