"""How a run's end is written: one `finish` or one `error`, last, whatever ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from mcp_llm.errors import Conflict, Error, ProviderError, SchemaMismatch
from mcp_llm.llm.runs import GONE
from mcp_llm.types.events import ErrorEvent, Finish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.types.result import Generated

    from .journal import Journal, Write

T = TypeVar("T")

ENDING: Final = 5.0
"""Seconds that the last event of a cancelled run may take."""


async def guarded(journal: Journal, work: Callable[[], Awaitable[T]], keep: Callable[[], bool]) -> T:
    """Do the work of a run and see to it that the run ends, or is left for others to go on with. Raises what ended it.

    `keep` says, when it is cancelled from outside, whether it is to be gone on with later.
    """
    scope = anyio.CancelScope()
    journal.on_stop = scope.cancel
    try:
        with scope:
            return await work()
    except Exception as exc:
        await fail(journal, exc)
        raise
    except BaseException:
        with anyio.CancelScope(shield=True), anyio.move_on_after(ENDING):
            await _let_go(journal, keep=keep())
        raise
    if journal.lost:
        raise Conflict(f"run {journal.run_id} was taken over by another process")
    await _let_go(journal, keep=False)
    raise Error("the run was cancelled")


async def _let_go(journal: Journal, *, keep: bool) -> None:
    if journal.ended or journal.lost:
        return
    if keep and not journal.cancel_requested:
        await journal.release()
        return
    why = "cancelled by the user" if journal.cancel_requested else GONE
    try:
        await journal.finish(ErrorEvent(error=why, kind="cancelled", partial=journal.partial or None))
    except Error:  # the disk, or another process: then the run reads as interrupted
        return


def finished(result: Generated) -> Finish:
    """The last event of a call that was answered."""
    return Finish(result=result.model_dump(mode="json", exclude_none=True), usage=result.usage, cost=result.cost)


def failure(error: BaseException, partial: str = "") -> ErrorEvent:
    """The last event of a run that failed. Errors that are not ours show their type only: their text may hold a key."""
    if not isinstance(error, Error):
        return ErrorEvent(
            error=f"mcp-llm itself failed ({type(error).__name__})", kind="error", partial=partial or None
        )
    more: dict[str, Any] = {}
    if isinstance(error, ProviderError):
        names = ("provider", "model", "status", "code", "param", "request_id", "retry_after")
        more = {name: value for name in names if (value := getattr(error, name)) is not None}
    arrived = error.text if isinstance(error, SchemaMismatch) else getattr(error, "partial", None)
    return ErrorEvent(error=str(error)[:2000], kind=error.kind, partial=partial or arrived or None, **more)


async def fail(journal: Journal, error: BaseException, also: Write | None = None) -> None:
    """Write the end of a run that failed, `also` with it; nothing where it has ended or belongs to another process."""
    if journal.ended or journal.lost:
        return
    try:
        await journal.finish(failure(error, journal.partial), also=also)
    except Error:  # the disk or another process: whoever drives it next sees a run without an end
        return


async def cancel(journal: Journal, also: Write | None = None) -> None:
    """Write that the user ended it, `also` with it; what was said so far is kept."""
    if journal.ended or journal.lost:
        return
    try:
        words = journal.partial
        await journal.finish(
            ErrorEvent(error="cancelled by the user", kind="cancelled", partial=words or None), also=also
        )
    except Error:
        return


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the others: ours before anybody else's."""
    found: list[BaseException] = []
    left: list[BaseException] = [group]
    while left:
        one = left.pop(0)
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
        else:
            found.append(one)
    return next((one for one in found if isinstance(one, Error)), found[0])
