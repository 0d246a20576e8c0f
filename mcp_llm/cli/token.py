"""`mcp-llm token`: the bearer tokens of `serve --http`. A new one is all that goes to stdout, once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from . import running, terminal
from .grouped import Group

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.app import App
    from mcp_llm.server.http.tokens import Owner, Tokens

_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


def expiry(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """`90d`, `12h`, `8w` or a date as epoch milliseconds. Raises BadParameter for what is over already."""
    if value is None:
        return None
    now = datetime.now(UTC)
    if found := re.fullmatch(r"(\d{1,5})([hdw])", value):
        then = now + timedelta(**{_UNITS[found[2]]: int(found[1])})
    else:
        try:
            then = datetime.fromisoformat(value)
        except ValueError:
            raise click.BadParameter(f"{value!r} is neither like 90d or 12h nor a date", ctx, param) from None
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
    if then <= now:
        raise click.BadParameter(f"{value!r} is over already", ctx, param)
    return int(then.timestamp() * 1000)


EXAMPLES: Final = """\b
Examples:
  mcp-llm token create alice --expires 90d
  mcp-llm token create ci --scope "generate" --scope "runs"
  mcp-llm token revoke alice
"""


@click.group(cls=Group, epilog=EXAMPLES)
def command() -> None:
    """The tokens that `mcp-llm serve --http` takes; where there is one, nobody comes in without."""


@command.command()
@click.argument("name")
@click.option("--scope", "tools", multiple=True, metavar="TOOL", help="A tool it may call, or a glob; all unless set.")
@click.option("--expires", callback=expiry, metavar="90d|12h|DATE", help="Never unless set.")
@click.option("--replace", is_flag=True, help="In the place of the token of this name, which is revoked.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def create(name: str, tools: tuple[str, ...], expires: int | None, replace: bool, as_json: bool) -> int:
    """Make a token and print it. It cannot be shown again.

    NAME is who calls with it: runs, threads and budgets ([principals.NAME]) belong to that name.
    """
    made = _with(lambda tokens: tokens.create(name, tools=tools, expires=expires, replace=replace))
    if as_json:
        terminal.dump({"name": name, "token": made, "tools": list(tools) or None, "expires": _date(expires)})
    else:
        terminal.line(made)
    terminal.note("Shown this once. Clients send it as `Authorization: Bearer ...`.")
    terminal.note("A server that was started while there was no token has to be started again to ask for one.")
    return 0


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(as_json: bool) -> int:
    """The tokens there are, without what is secret."""
    owners = _with(lambda tokens: tokens.all())
    if as_json:
        terminal.dump([_data(owner) for owner in owners])
    elif owners:
        headers = ("name", "may call", "made", "expires", "last used")
        terminal.line(terminal.table(headers, [_cells(owner) for owner in owners]))
    else:
        terminal.problem("no tokens; `mcp-llm token create NAME` makes one")
    return 0


@command.command()
@click.argument("name")
def revoke(name: str) -> int:
    """End a token; running servers know within two seconds."""
    _with(lambda tokens: tokens.revoke(name))
    terminal.note(f"revoked {name}")
    return 0


def _with(work: Callable[[Tokens], Awaitable[running.T]]) -> running.T:
    from mcp_llm.server.http.tokens import Tokens

    async def opened(app: App) -> running.T:
        return await work(Tokens(app.store))

    return running.run(opened)


def _date(time_ms: int | None) -> str | None:
    return None if time_ms is None else datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="minutes")


def _cells(owner: Owner) -> list[str]:
    over = " (over)" if owner.expired else ""
    expires = "never" if owner.expires is None else f"{_date(owner.expires)}{over}"
    return [
        owner.name,
        ", ".join(owner.tools or ("everything",)),
        _date(owner.created) or "",
        expires,
        _date(owner.used) or "never",
    ]


def _data(owner: Owner) -> dict[str, object]:
    return {
        "name": owner.name,
        "tools": None if owner.tools is None else list(owner.tools),
        "created": _date(owner.created),
        "expires": _date(owner.expires),
        "expired": owner.expired,
        "used": _date(owner.used),
    }
