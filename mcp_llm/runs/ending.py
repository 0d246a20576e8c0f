"""How a run's end is written: one `finish` or one `error`, last, whatever ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_llm.errors import Error, ProviderError, SchemaMismatch
from mcp_llm.types.events import ErrorEvent, Finish

if TYPE_CHECKING:
    from mcp_llm.types.result import Generated

    from .journal import Journal


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


async def fail(journal: Journal, error: BaseException) -> None:
    """Write the end of a run that failed; nothing where it has ended or belongs to another process now."""
    if journal.ended or journal.lost:
        return
    try:
        await journal.finish(failure(error, journal.partial))
    except Error:  # the disk or another process: whoever drives it next sees a run without an end
        return


async def cancel(journal: Journal) -> None:
    """Write that the user ended it; what was said so far is kept."""
    if journal.ended or journal.lost:
        return
    try:
        words = journal.partial
        await journal.finish(ErrorEvent(error="cancelled by the user", kind="cancelled", partial=words or None))
    except Error:
        return
