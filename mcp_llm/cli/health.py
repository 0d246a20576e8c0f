"""`mcp-llm health`: one cheap call to each provider that is configured, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from mcp_llm.llm.checks import check, configured

from . import running, terminal

if TYPE_CHECKING:
    from mcp_llm.llm.health import ProviderHealth
    from mcp_llm.llm.service import Service

HEADERS: Final = ("provider", "state", "ms", "models", "detail")

EXAMPLES: Final = """\b
Examples:
  mcp-llm health
  mcp-llm health openai groq --json
"""


@click.command(epilog=EXAMPLES)
@click.argument("providers", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
def command(providers: tuple[str, ...], as_json: bool) -> int:
    """Ask PROVIDERS (or each that has a key or runs on this machine) for their model list, which costs nothing.

    Exit code 0 when all answer, 3 when one does not, 2 when there is nobody to ask.
    """

    async def work(service: Service) -> list[ProviderHealth]:
        ids = [service.catalog.id_of(name) for name in providers] or await configured(service)
        return await check(service, ids)

    try:
        found = running.run(work)
    except running.Interrupted as exc:
        return exc.code
    if as_json:
        terminal.dump([one.model_dump(mode="json") for one in found])
    elif found:
        terminal.line(terminal.table(HEADERS, [_cells(one) for one in found], right=(2, 3)))
    if not found:
        terminal.problem("no provider is configured; `mcp-llm doctor` says what to set")
        return 2
    return 3 if any(one.available is False for one in found) else 0


def _cells(one: ProviderHealth) -> list[str]:
    return [
        one.provider_id,
        "unknown" if one.available is None else "answers" if one.available else "fails",
        "?" if one.latency_ms is None else str(one.latency_ms),
        "?" if one.models_available is None else str(one.models_available),
        one.detail or "",
    ]
