"""How long what was made is kept: old runs, conversations, artifacts and rows of the ledger go, a bit at a time.

Off every call's path: some seconds after a server has begun, and then now and then; `mcp-llm runs prune` does it by
hand. Budgets, tokens, the definitions of tools that were approved and runs that are under way are never touched.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from mcp_llm.errors import StoreError
from mcp_llm.store import space, sweeping

from . import pruning

if TYPE_CHECKING:
    from mcp_llm.settings import Keep
    from mcp_llm.store.artifacts import Artifacts
    from mcp_llm.store.sqlite import Store

FIRST: Final = 20.0
EVERY: Final = 6 * 3600.0
"""Seconds until a server looks for the first time, and from then on."""
PAUSE: Final = 0.02
"""Seconds between two transactions, for those of others."""
PAGES: Final = 256
"""Pages given back to the disk in one of them."""
STEP: Final = 0.8
"""Where the database is too large, whatever is older than this part of the age that was kept so far goes next."""
DAY_MS: Final = 86_400_000
_MB: Final = 1024 * 1024


@dataclass(slots=True)
class Gone:
    """What was let go of; `artifact_bytes` of the artifacts, `bytes` that are used in the database now."""

    runs: int = 0
    conversations: int = 0
    artifacts: int = 0
    artifact_bytes: int = 0
    calls: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Retention:
    """Of one home; the processes that share it may all do so at once."""

    store: Store
    artifacts: Artifacts
    keep: Keep
    first: float = FIRST

    async def watch(self) -> None:
        """Apply it now and then, for ever; where the disk fails, the next time."""
        pause = self.first
        while True:
            await anyio.sleep(pause)
            pause = EVERY
            try:
                await self.apply()
            except StoreError:
                continue

    async def apply(self) -> Gone:
        """Let go of what is too old or too much, and say what that was. Raises StoreError where the disk fails."""
        gone, keep, now = Gone(), self.keep, time.time_ns() // 1_000_000
        await self.store.start()
        if not self.store.durable:  # what is in memory knows nothing of what is needed
            return gone
        since = 0 if keep.days is None else now - keep.days * DAY_MS
        alone = 0 if keep.interrupted_days is None else min(since, now - keep.interrupted_days * DAY_MS)
        needed = await self.store.read(partial(pruning.needed, left_alone=alone))
        most = None if keep.max_mb is None else keep.max_mb * _MB
        # First: on a disk that is full, files can be removed, and deleting a row needs room.
        gone.artifacts, gone.artifact_bytes = await anyio.to_thread.run_sync(
            sweeping.sweep, self.artifacts.folder, since / 1000, most, needed.artifacts
        )
        await self._older(since, alone, needed, gone)
        if most is not None:
            await self._larger(most, since, now, alone, needed, gone)
        if keep.ledger_days is not None:
            gone.calls = await self._calls(now - keep.ledger_days * DAY_MS)
        await self._shrink()
        gone.bytes = await self.store.read(space.used)
        return gone

    async def _older(self, since: int, alone: int, needed: pruning.Needed, gone: Gone) -> None:
        """Runs and conversations that were last changed before."""
        after: tuple[int, str] | None = (-1, "")
        while after is not None:
            some = partial(pruning.runs, before=since, after=after, spared=needed.runs, left_alone=alone)
            count, after = await self.store.write(some)
            gone.runs += count
            await anyio.sleep(PAUSE)
        skip: int | None = 0
        while skip is not None:
            count, skip = await self.store.write(partial(pruning.threads, before=since, skip=skip, asked=needed.asked))
            gone.conversations += count
            await anyio.sleep(PAUSE)

    async def _calls(self, since: int) -> int:
        total, more = 0, True
        while more:
            count, more = await self.store.write(partial(pruning.calls, before=since))
            total += count
            await anyio.sleep(PAUSE)
        return total

    async def _shrink(self) -> None:
        more = True
        while more:
            more = await self.store.write(partial(space.give_back, pages=PAGES))
            await anyio.sleep(PAUSE)

    async def _larger(self, most: int, since: int, now: int, alone: int, needed: pruning.Needed, gone: Gone) -> None:
        """Fewer and fewer days, until there is room; what was changed in the last hour stays."""
        fresh = now - int(sweeping.FRESH_S * 1000)
        while since < fresh and await self.store.read(space.used) > most:
            first = await self.store.read(pruning.oldest)
            if first is None:
                return
            since = min(fresh, now - int((now - max(since, first)) * STEP))
            await self._older(since, alone, needed, gone)
