"""Going on with a run whose process is gone: what was done stays, what may have been done is told and not repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp_llm.runs.recover import standing
from mcp_llm.types.events import Resumed, ToolEnd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.types.events import Event

    from .loop import Loop

UNKNOWN: Final = (
    "This call may have been made: the process ended before its result was stored. It is not repeated, since it may "
    "change something. Find out by other means whether it was; do not make it again unless you know that it was not."
)


async def take_up(loop: Loop, events: Sequence[Event]) -> None:
    """Let the loop stand where the run stood, and give the calls of unknown effect their result."""
    stood = standing(events)
    for scope in loop.meter.scopes():
        loop.service.purse.ledger.forget(scope.kind, scope.key)
    loop.replay(events)
    unsure = stood.may_have_run
    await loop.append(
        Resumed(
            after=stood.last_seq, attempt=loop.journal.attempts, may_have_run=tuple(call.call_id for call in unsure)
        )
    )
    for call in unsure:
        await loop.append(ToolEnd(tool=call.tool, args=call.args, result=UNKNOWN, call_id=call.call_id, is_error=True))
        loop.warnings.append(f"{call.tool} may have been called by a process that is gone; it was not called again")
