"""`mcp-llm models`: the listing of `list_models` as a table or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from . import running, terminal

if TYPE_CHECKING:
    from mcp_llm.llm.listing import Listing, ModelRow
    from mcp_llm.llm.service import Service

HEADERS: Final = ("", "model", "tier", "context", "$ in", "$ out", "can", "reads")


@click.command()
@click.argument("search", required=False)
@click.option("--provider", metavar="NAME", help="Only this provider's, with or without a key.")
@click.option("--live", is_flag=True, help="Also ask the providers for their own lists.")
@click.option("--all", "everything", is_flag=True, help="Also those of providers that lack a key.")
@click.option("--json", "as_json", is_flag=True)
def command(search: str | None, provider: str | None, live: bool, everything: bool, as_json: bool) -> int:
    """What can be asked; SEARCH are words that a model's name has to hold. `*` marks the model in force.

    Prices are dollars for a million tokens; `?` is unknown.
    """

    async def work(service: Service) -> Listing:
        from mcp_llm.llm.listing import list_models

        return await list_models(service, provider=provider, search=search, live=live, everything=everything)

    config = running.load()
    try:
        found = running.run(work, config)
    except running.Interrupted as exc:
        return exc.code
    if as_json:
        terminal.dump(found.model_dump(mode="json"))
        return 0
    if found.models:
        terminal.line(terminal.table(HEADERS, [_cells(row, found.default) for row in found.models], right=(3, 4, 5)))
    else:
        terminal.problem("no model fits" + ("" if everything else "; --all also looks at providers without a key"))
    for words in found.problems:
        if words not in config.problems:
            terminal.problem(words)
    terminal.note(f"in force: {found.default or 'none'} ({found.because})")
    if found.missing and not provider:
        terminal.note(f"not configured: {', '.join(found.missing)}; `mcp-llm doctor` says what each needs")
    for name, words in found.missing.items() if provider else ():
        terminal.note(f"{name}: {words}")
    return 0


def _cells(row: ModelRow, default: str | None) -> list[str]:
    return [
        "*" if row.model == default else "" if row.configured else "-",
        row.model,
        row.tier or "",
        _tokens(row.context),
        _dollars(row.input_usd, local=row.local),
        _dollars(row.output_usd, local=row.local),
        "?" if row.can is None else " ".join(row.can),
        "?" if row.reads is None else " ".join(row.reads),
    ]


def _tokens(count: int | None) -> str:
    if count is None:
        return "?"
    return f"{count / 1_000_000:.3g}M" if count >= 1_000_000 else f"{count / 1000:.3g}k"


def _dollars(usd: float | None, *, local: bool) -> str:
    return "free" if local else "?" if usd is None else f"{usd:.6g}"
