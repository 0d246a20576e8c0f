"""`mcp-llm usage`: sums of the token log as a table. An unknown cost is `?`, never 0."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from mcp_llm.types.result import dollars

from . import running, terminal

if TYPE_CHECKING:
    from mcp_llm.llm.ledger import GroupBy, Spend
    from mcp_llm.llm.service import Service

GROUPS: Final = ("model", "provider", "context", "operation", "day", "hour", "run", "total")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """`7d`, `24h`, `today`, `all`, or a date, as epoch milliseconds; days begin at midnight UTC, as in the log."""
    now = datetime.now(UTC)
    if value == "all":
        return 0
    if found := re.fullmatch(r"(\d{1,5})([mhdw])", value):
        then = now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    elif value == "today":
        then = now.replace(hour=0, minute=0, second=0, microsecond=0)
    else:
        try:
            then = datetime.fromisoformat(value)
        except ValueError:
            words = f"{value!r} is neither like 7d or 24h nor a date like 2026-11-01"
            raise click.BadParameter(words, ctx, param) from None
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0, int(then.timestamp() * 1000))


@click.command()
@click.option("--by", "group_by", type=click.Choice(GROUPS), default="model", show_default=True)
@click.option("--since", callback=moment, default="30d", show_default=True, metavar="7d|24h|today|DATE|all")
@click.option("--json", "as_json", is_flag=True)
def command(group_by: GroupBy, since: int, as_json: bool) -> int:
    """What was spent, dearest first. Days and hours are UTC.

    Cost adds the known prices; `+ ?` says that calls of unknown price come on top.
    """

    async def work(service: Service) -> tuple[list[Spend], list[Spend]]:
        ledger = service.purse.ledger
        return await ledger.spend(group_by, since=since), await ledger.spend("total", since=since)

    try:
        rows, total = running.run(work)
    except running.Interrupted as exc:
        return exc.code
    if as_json:
        terminal.dump([_data(row) for row in rows])
        return 0
    if not rows:
        terminal.problem("no calls in that time")
        return 0
    headers = (group_by, "requests", "failed", "in", "out", "cached", "cost")
    lines = [_cells(row, row.key or "(none)") for row in rows]
    if len(rows) > 1:
        lines += [_cells(row, "total") for row in total]
    terminal.line(terminal.table(headers, lines, right=range(1, 7)))
    return 0


def _cells(row: Spend, name: str) -> list[str]:
    figures = (_count(row.input), _count(row.output), _count(row.cached))
    return [name, f"{row.calls:,}", f"{row.failed:,}" if row.failed else "", *figures, cost(row)]


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"


def cost(row: Spend) -> str:
    """Dollars; `?` where no call's price is known, `+ ?` where some are not."""
    if row.usd is None:
        return "?"
    known = dollars(row.usd)
    return f"{known} + ?" if row.unpriced else known


def _data(row: Spend) -> dict[str, Any]:
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
