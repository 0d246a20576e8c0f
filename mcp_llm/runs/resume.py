"""Who can go on with a run, by its kind; and taking up, unasked, the runs of processes that are gone."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import anyio

from mcp_llm.errors import Conflict, Error, InvalidInput

from . import wait
from .ending import cancel, fail

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

    from .journal import Journal
    from .store import RunInfo, RunStore

CallOff: TypeAlias = "Callable[[RunInfo], Awaitable[str | None]]"
"""Ends what a vendor works off for a run that has not ended; words on what is left of it, None where nothing is.

Raises Error where the vendor cannot be told: then nothing has changed.
"""

ENDED: Final = frozenset({"finished", "failed", "cancelled"})
SETTLE: Final = 1.0
"""Seconds before the first look: a server that starts has its first question to answer before."""
SOON: Final = 0.05
"""Seconds after a lease's end at which it is looked for."""
JUMP: Final = 1.0
"""Seconds by which the time of day may move from one look to the next without having been set."""
AFRESH: Final = 3600.0
"""Seconds after which a run that was refused is looked into again: a disk may have failed, or a setting was wrong."""
GRACE: Final = 3.0
"""Seconds for which a run that will be taken up unasked is not yet called interrupted to whoever waits for it."""


class Resumer(Protocol):
    """Goes on with runs of one kind. `automatic`: also when nobody asked, because its process was killed."""

    automatic: bool

    async def check(self, info: RunInfo, again: bool) -> None:
        """Raise InvalidInput where going on is not possible, or not without a word of the user's (`again`)."""

    async def drive(self, journal: Journal) -> dict[str, Any]:
        """Drive the run to its end, with `journal.finish` last; its result. Raises what ended it."""


@dataclass(slots=True)
class Resumers:
    """Resumers by kind of run."""

    _by_kind: dict[str, Resumer] = field(default_factory=dict)
    call_off: dict[str, CallOff] = field(default_factory=dict)
    """How runs of a kind are ended where that takes more than telling who drives them."""

    def register(self, kind: str, resumer: Resumer) -> None:
        """Add or replace."""
        self._by_kind[kind] = resumer

    def automatic(self, kind: str) -> bool:
        """Whether runs of this kind are taken up unasked."""
        return (found := self._by_kind.get(kind)) is not None and found.automatic

    async def claim(
        self, runs: RunStore, run_id: str, principal: str, *, again: bool = False
    ) -> tuple[Journal, Resumer]:
        """The run, now driven by this process, and who drives it. Raises InvalidInput or Conflict with the reason."""
        info = await runs.get(run_id, principal)
        if info.status in ENDED:
            raise InvalidInput(f'run {run_id} is {info.status}; read it with runs(action="read", run_id="{run_id}")')
        if info.live:
            raise Conflict(f'run {run_id} is {info.status}; wait for it with runs(action="wait", run_id="{run_id}")')
        resumer = self._by_kind.get(info.kind)
        if resumer is None:
            raise InvalidInput(f"a run of kind {info.kind} cannot be resumed; what it had is kept and can be read")
        await resumer.check(info, again)
        return await runs.claim(run_id, principal), resumer

    async def cancel(
        self, runs: RunStore, run_id: str, principal: str, wait_s: float = 0
    ) -> tuple[RunInfo, str | None]:
        """End a run as its user means it, whoever drives it; who does has `wait_s` seconds to do so.

        (The run as it stands, words on what is left of it.) A vendor that works something off for it is told first.
        Raises Error where that cannot be: nothing has changed then, and the text names the next step.
        """
        before, words = await runs.get(run_id, principal), None
        call_off = self.call_off.get(before.kind)
        if call_off is None or before.status in ENDED:
            await runs.request_cancel(run_id, principal)
        else:
            words = await call_off(before)
        after = await wait.ended(runs, run_id, principal, wait_s if before.live else 0, asking=True)
        return after, None if before.live and after.status in ENDED else words

    async def watch(self, runs: RunStore, tasks: TaskGroup) -> None:
        """Take up every run of an automatic kind whose process is gone, until cancelled.

        One that its resumer refuses, because it was cut off again and again, is left to the user, and not looked into
        again before something has changed it, or `AFRESH` is over. Sleeps until the next
        lease could end, a lease's length at most: that often is an idle database looked at. A clock that was set, or a
        machine that slept, ends the leases of drivers that live: they get the time of one to renew theirs.
        """
        kinds = [kind for kind, one in self._by_kind.items() if one.automatic]
        if not kinds:
            return
        await anyio.sleep(SETTLE)
        refused: dict[str, int] = {}
        lead, fresh = _lead(), time.monotonic()
        while True:
            if abs(_lead() - lead) > JUMP:
                lead = _lead()
                await anyio.sleep(runs.ttl_s)
            if time.monotonic() - fresh > AFRESH:
                refused, fresh = {}, time.monotonic()
            try:
                found = await runs.expired(kinds, refused)
                if abs(_lead() - lead) > JUMP:
                    continue  # it was set while we looked: these may only seem to be over
                for info in found:
                    if not await self._take_up(runs, info, tasks):
                        refused[info.id] = info.updated
                soonest = await runs.next_expiry(kinds)
            except Error:  # a disk that fails now may work later; the store keeps the reason in its notes
                soonest = None
            await anyio.sleep(runs.ttl_s if soonest is None else min(soonest, runs.ttl_s) + SOON)

    async def _take_up(self, runs: RunStore, info: RunInfo, tasks: TaskGroup) -> bool:
        """False for one that is left to the user: so is one that is damaged on disk, which may not hold up others."""
        resumer = self._by_kind[info.kind]
        try:
            await resumer.check(info, again=False)
        except Error:
            return False
        try:
            journal = await runs.claim(info.id)
        except Conflict:  # another process was quicker
            return True
        except InvalidInput:
            return False
        tasks.start_soon(drive, resumer, journal)
        return True


def _lead() -> float:
    """How far the time of day is ahead of the clock that only runs, in seconds: the same until it is set."""
    return time.time() - time.monotonic()


async def drive(resumer: Resumer, journal: Journal) -> None:
    """Drive a run that nobody waits for: its errors are in its journal."""
    scope = anyio.CancelScope()
    journal.on_stop = scope.cancel
    try:
        with scope:
            await resumer.drive(journal)
    except Exception as exc:
        await fail(journal, exc)
    finally:
        with anyio.CancelScope(shield=True):
            if journal.cancel_requested:
                await cancel(journal)
            await journal.release()
