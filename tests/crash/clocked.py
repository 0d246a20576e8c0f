"""A process that drives a run, or waits to take it up, as servers do; a test sets its clock by libfaketime.

`python clocked.py PATH TTL [RUN]` prints `claimed FENCE`, `ack SEQ` for each event that is on disk, and `refused`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from mcp_llm.errors import Conflict
from mcp_llm.runs.resume import Resumers
from mcp_llm.runs.store import RunStore
from mcp_llm.store.sqlite import Store
from mcp_llm.types.events import TextEvent

if TYPE_CHECKING:
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunInfo


class Driver:
    """Goes on with every run, an event at a time, for ever."""

    automatic = True

    async def check(self, info: RunInfo, again: bool) -> None:
        """All may be gone on with."""

    async def drive(self, journal: Journal) -> dict[str, Any]:
        """Until somebody else does."""
        print("claimed", journal.fence, flush=True)
        try:
            while True:
                print("ack", await journal.append(TextEvent(text="one")), flush=True)
                await anyio.sleep(0.02)
        except Conflict:
            print("refused", flush=True)
            raise


async def main(path: str, ttl_s: str, run_id: str = "") -> None:
    """Drive the run, and take up others meanwhile."""
    runs, resumers = RunStore(Store.open(Path(path)), ttl_s=float(ttl_s)), Resumers()
    resumers.register("agent", Driver())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(resumers.watch, runs, tasks)
        if run_id:
            await Driver().drive(await runs.claim(run_id))


anyio.run(lambda: main(*sys.argv[1:]))
