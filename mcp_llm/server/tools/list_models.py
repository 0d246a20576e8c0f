"""The tool `list_models`: what can be asked right now, and what is missing for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_llm.server import result as results
from mcp_llm.server.arguments import Arguments

from .published import publish

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from mcp_llm.llm.listing import Listing, ModelRow
    from mcp_llm.server.run import Run

SHOWN: Final = 60
"""Models a reply lists; more are a search away, and nobody reads them all."""


class ListModelsArguments(Arguments):
    """What to list."""

    provider: str | None = None
    """Only the models of this provider."""
    search: Annotated[str | None, Field(description="words in the model's id or name")] = None
    live: Annotated[bool, Field(description="ask the providers for their own lists")] = False
    all: Annotated[bool, Field(description="also providers without a key")] = False


OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "default": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "models": {"type": "array", "items": {"type": "object"}},
        "missing": {"type": "object"},
        "problems": {"type": "array"},
    },
    "required": ["models"],
}


async def run_list_models(given: ListModelsArguments, run: Run) -> CallToolResult:
    """The list as a table and as data."""
    from mcp_llm.llm.listing import list_models

    with run.beating():
        found = await list_models(
            run.service, provider=given.provider, search=given.search, live=given.live, everything=given.all
        )
    data: dict[str, Any] = {"default": found.default, "because": found.because}
    data["models"] = [
        row.model_dump(mode="json", exclude_none=True, exclude={"provider"}) | {"input_usd": row.input_usd}
        for row in found.models[:SHOWN]
    ]
    data["missing"] = found.missing
    data["problems"] = list(found.problems)
    if len(found.models) > SHOWN:
        data["more"] = len(found.models) - SHOWN
    return results.plain(text(found), data)


def text(found: Listing) -> str:
    """One line a model, then what is missing."""
    lines = [f"default: {found.default or 'none'} ({found.because})"]
    lines += [_line(row) for row in found.models[:SHOWN]]
    if len(found.models) > SHOWN:
        lines.append(f"... {len(found.models) - SHOWN} more: narrow with `provider` or `search`")
    if found.missing:
        waiting = "; ".join(f"{provider}: {what}" for provider, what in found.missing.items())
        lines.append(f"not configured: {waiting}")
    lines += [f"problem: {words}" for words in found.problems]
    return "\n".join(lines)


def _line(row: ModelRow) -> str:
    words = [row.model]
    if row.tier:
        words.append(row.tier)
    if row.context:
        words.append(f"{row.context // 1000}k context")
    if row.can is not None or row.reads is not None:
        words.append("+".join([*(row.can or ()), *(row.reads or ())]))
    if row.local:
        words.append("local, free")
    elif row.input_usd is not None and row.output_usd is not None:
        dated = f" of {row.priced_at}" if row.priced_at else ""
        words.append(f"${row.input_usd:g}/{row.output_usd:g} per M tokens{dated}")
    else:
        words.append("price unknown")
    if not row.configured:
        words.append("no key")
    if row.retires:
        words.append(f"retires {row.retires}")
    return " · ".join(words)


LIST_MODELS = publish(
    run_list_models,
    ListModelsArguments,
    name="list_models",
    title="List models",
    description="Which models can be asked now: tier, capabilities, context, price; and which keys are missing.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True),
)
