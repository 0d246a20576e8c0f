"""What a vendor does in its own time (a batch, a film), as its run knows it: its name there, and rests between looks.

Only the vendor ends such a run, or the user once the vendor was told. What keeps this process from asking leaves it
open, and is tried again after a rest: what the vendor has of it is paid for, and not lost.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import AuthError, Error, InvalidInput, ProviderError
from mcp_llm.types.events import JobEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .journal import Journal
    from .store import RunStore

REST: Final = 600.0
"""Seconds for which a job that could not be looked at is left alone, unless a person asks."""
TELLING: Final = 20.0
"""Seconds that a vendor has to hear that its work is not wanted any more."""


async def known(runs: RunStore, run_id: str) -> list[JobEvent]:
    """How it stood since it was submitted, under the vendor's name; empty where nobody knows whether it was."""
    events = [event for event in await runs.events(run_id) if isinstance(event, JobEvent)]
    return [event for event in events if event.job_id]


def refuse_resting(run_id: str, stood: Sequence[JobEvent]) -> None:
    """Raise InvalidInput for one that could not be looked at a moment ago."""
    last = stood[-1]
    ago = time.time() - last.ts / 1000
    if last.state == "submitted" and last.message and 0 <= ago < REST:
        raise InvalidInput(
            f"run {run_id} could not be looked at {ago:.0f} s ago ({last.message}); what {last.provider} has of it is "
            f'not lost. It is tried again by and by, or now: runs(action="resume", run_id="{run_id}", again=true)'
        )


async def rest(journal: Journal, stood: JobEvent, error: Exception) -> None:
    """Let go of one that cannot be looked at; with the reason, unless all may be well the next moment."""
    if isinstance(error, Error) and error.retryable:
        await journal.release()
        return
    why = str(error)[:500] if isinstance(error, Error) else f"mcp-llm itself failed ({type(error).__name__})"
    with suppress(Error):
        await journal.leave(stood.model_copy(update={"ts": 0, "state": "submitted", "message": why}))


def untold(run_id: str, provider: str, error: Exception) -> ProviderError:
    """What to raise where a vendor could not be told to stop: the run is as it was, and what to do next."""
    why = str(error)[:500] if isinstance(error, Error) else f"no answer in {TELLING:.0f} s"
    return ProviderError(
        f"it could not be told to stop ({why}), so run {run_id} stays open, and what it may cost stays held: "
        f"nothing is lost. Cancel it again when {provider} can be reached, or stop it in {provider}'s own console",
        provider=provider,
        retry=False,
    )


def refused(error: Exception) -> bool:
    """Whether the vendor was told and would not stop: most have nothing left to stop by then."""
    if not isinstance(error, ProviderError) or isinstance(error, AuthError):
        return False
    return error.status in {400, 404, 405, 409, 410, 412, 422}
