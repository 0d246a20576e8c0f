"""`mcp-llm usage`: sums of the token log as a table. An unknown cost is `?`, never 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from mcp_llm.errors import InvalidInput
from mcp_llm.llm import usage
from mcp_llm.types.result import dollars

from . import running, terminal

if TYPE_CHECKING:
    from mcp_llm.llm.ledger import GroupBy, Spend
    from mcp_llm.llm.service import Service


def moment(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """The option's words as epoch milliseconds."""
    try:
        return usage.begin(value)
    except InvalidInput as exc:
        raise click.BadParameter(str(exc), ctx, param) from None


EXAMPLES: Final = """\b
Examples:
  mcp-llm usage
  mcp-llm usage --by day --since 7d
  mcp-llm usage --by context --since today --json
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--by",
    "group_by",
    type=click.Choice(usage.GROUPS),
    default=usage.GROUPS[0],
    show_default=True,
    help="A row for each.",
)
@click.option(
    "--since",
    callback=moment,
    default=usage.SINCE,
    show_default=True,
    metavar="7d|24h|today|DATE|all",
    help="From then on.",
)
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def command(group_by: GroupBy, since: int, as_json: bool) -> int:
    """What was spent, dearest first. Days and hours are UTC.

    Cost adds the known prices; `+ ?` says that calls of unknown price come on top.
    """

    async def work(service: Service) -> tuple[list[Spend], list[Spend], int]:
        ledger = service.purse.ledger
        sums = await ledger.spend(group_by, since=since), await ledger.spend("total", since=since)
        return *sums, await ledger.damaged()

    try:
        rows, total, damaged = running.run(work)
    except running.Interrupted as exc:
        return exc.code
    for words in usage.unread(damaged):
        terminal.problem(words)
    if as_json:
        terminal.dump([usage.told(row) for row in rows])
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
