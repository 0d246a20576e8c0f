"""The token log as people ask for it: by what, since when, and a sum as data. Unknown costs stay null."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from mcp_llm.errors import InvalidInput

if TYPE_CHECKING:
    from .ledger import GroupBy, Spend

GROUPS: Final = ("model", "provider", "context", "operation", "day", "hour", "run", "total")
SINCE: Final = "30d"
"""What is meant where nobody says since when."""
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def group(words: str) -> GroupBy:
    """A grouping by its name. Raises InvalidInput."""
    if words not in GROUPS:
        raise InvalidInput(f"usage is not grouped by {words[:40]!r}; it is by {', '.join(GROUPS)}")
    return cast("GroupBy", words)


def begin(words: str) -> int:
    """`7d`, `24h`, `today`, `all` or a date as epoch milliseconds; days begin at midnight UTC, as in the log.

    Raises InvalidInput.
    """
    now = datetime.now(UTC)
    if words == "all":
        return 0
    if found := re.fullmatch(r"(\d{1,5})([mhdw])", words):
        then = now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    elif words == "today":
        then = now.replace(hour=0, minute=0, second=0, microsecond=0)
    else:
        try:
            then = datetime.fromisoformat(words)
        except ValueError:
            raise InvalidInput(f"{words[:40]!r} is neither like 7d or 24h nor a date like 2026-11-01") from None
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0, int(then.timestamp() * 1000))


def unread(rows: int) -> list[str]:
    """A sentence about rows that could not be read, for whoever is shown the sums of the others."""
    return (
        [f"{rows:,} of the ledger's rows cannot be read and {'is' if rows == 1 else 'are'} in no sum"] if rows else []
    )


def told(row: Spend) -> dict[str, Any]:
    """One group as JSON."""
    return {
        "key": row.key,
        "calls": row.calls,
        "failed": row.failed,
        "input": row.input,
        "output": row.output,
        "cached": row.cached,
        "reasoning": row.reasoning,
        "usd": None if row.usd is None else float(row.usd),
        "unpriced_calls": row.unpriced,
        "charged_usd": float(row.charged),
    }
