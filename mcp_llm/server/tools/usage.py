"""The tool `usage`: what the caller's own calls have used and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_llm.llm import usage
from mcp_llm.server import result as results
from mcp_llm.server.arguments import Arguments
from mcp_llm.types.result import dollars

from .published import publish

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from mcp_llm.llm.ledger import Spend
    from mcp_llm.server.run import Run

SHOWN = 200
"""Groups that a reply lists, the dearest."""


class UsageArguments(Arguments):
    """What to add up."""

    by: Annotated[str, Field(description=", ".join(usage.GROUPS))] = usage.GROUPS[0]
    since: Annotated[str, Field(description="7d, 24h, today, a date, all")] = usage.SINCE


OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "by": {"type": "string"},
        "since": {"type": "string"},
        "rows": {"type": "array", "items": {"type": "object"}},
        "problems": {"type": "array"},
    },
    "required": ["by", "since", "rows"],
}


async def run_usage(given: UsageArguments, run: Run) -> CallToolResult:
    """The sums as a table and as data. Unknown costs are null, never 0."""
    by, since = usage.group(given.by), usage.begin(given.since)
    ledger = run.service.purse.ledger
    rows = await ledger.spend(by, since=since, principal=run.principal)
    problems = usage.unread(await ledger.damaged(run.principal))
    data: dict[str, Any] = {"by": by, "since": given.since, "rows": [usage.told(row) for row in rows[:SHOWN]]}
    if len(rows) > SHOWN:
        data["more"] = len(rows) - SHOWN
        problems.append(f"{len(rows) - SHOWN} cheaper groups are not shown: take a shorter time or another grouping")
    data["problems"] = problems
    lines = [_line(row) for row in rows[:SHOWN]] or ["no calls in that time"]
    lines += [f"problem: {words}" for words in problems]
    return results.plain("\n".join(lines), data)


def _line(row: Spend) -> str:
    words = [row.key or "(none)", f"{row.calls:,} call{'' if row.calls == 1 else 's'}"]
    if row.failed:
        words.append(f"{row.failed:,} failed")
    words += [f"{_tokens(row.input)} in / {_tokens(row.output)} out"]
    words.append("cost unknown" if row.usd is None else f"{dollars(row.usd)}{' + unknown' if row.unpriced else ''}")
    return " · ".join(words)


def _tokens(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


USAGE = publish(
    run_usage,
    UsageArguments,
    name="usage",
    title="Usage and cost",
    description="What your calls have used and cost, by model, provider, context, day and more.",
    output=OUTPUT,
    annotations=ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    ),
)
