"""What was spent, for the usage page: by day, model and context. Unknown is null; a day without calls has none."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput
from mcp_llm.llm.usage import told

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.llm.ledger import GroupBy

GROUPS: Final[tuple[GroupBy, ...]] = ("day", "model", "provider", "context", "operation", "total")
LONGEST: Final = 400
"""Days."""


async def spent(app: App, since: str) -> dict[str, Any]:
    """Sums since `since` (`30d`) up to now, per group; days are UTC, as in the log, and all of them are there."""
    found = re.fullmatch(r"([0-9]{1,3})d", since)
    if found is None or not 1 <= int(found[1]) <= LONGEST:
        raise InvalidInput(f"`since` is 1d to {LONGEST}d")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=int(found[1]) - 1)
    start = int(first.timestamp() * 1000)
    sums = {group: [told(one) for one in await app.purse.ledger.spend(group, since=start)] for group in GROUPS}
    days = {one["key"]: one for one in sums["day"]}
    keys = [(first + timedelta(days=number)).strftime("%Y-%m-%d") for number in range(int(found[1]))]
    nothing = {"calls": 0, "failed": 0, "input": 0, "output": 0, "usd": 0.0, "unpriced_calls": 0}
    budget = app.config.settings.budget
    return {
        "since": keys[0],
        "day": [days.get(key, {"key": key, **nothing}) for key in keys],
        **{group: sums[group] for group in GROUPS if group not in {"day", "total"}},
        "total": sums["total"][0] if sums["total"] else {"key": "", **nothing},
        "day_usd": None if budget.day_usd is None else float(budget.day_usd),
    }
