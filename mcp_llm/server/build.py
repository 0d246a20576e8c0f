"""The MCP server: its tools, its resources, its completions, over one Service for the life of the process."""

from __future__ import annotations

import json
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mcp.server import CacheHint, MCPServer
from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK evaluates the annotations of resources
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.types import Completion, ResourceTemplateReference

from mcp_llm import __version__
from mcp_llm.errors import Error
from mcp_llm.llm.listing import list_models

from .life import Heart, Life, live
from .principal import current
from .result import rest
from .tools import tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mcp_llm.config import Config
    from mcp_llm.llm.service import Service

INSTRUCTIONS: Final = (
    "Ask any LLM. `generate` sends one prompt to one model, `compare_models` the same to several, `run_agent` hands a "
    "task to an agent with tools; leave `model` out to use the user's default, `list_models` says what can be asked. "
    "Every answer has a run id; what takes long is handed back as one, and `runs` collects it."
)
COMPLETED: Final = 100
"""Values a completion may give, by the specification."""


def build(config: Config, opened: list[Service] | None = None, heart: Heart | None = None) -> MCPServer[Life]:
    """The server for this configuration; nothing is opened before it runs. `opened` holds the Service while it does."""
    opened = [] if opened is None else opened

    @asynccontextmanager
    async def lifespan(_: MCPServer[Life]) -> AsyncIterator[Life]:
        async with live(config, heart or Heart()) as life:
            opened.append(life.service)
            try:
                yield life
            finally:
                opened.remove(life.service)

    server: MCPServer[Life] = MCPServer(
        name="mcp-llm",
        title="mcp-llm",
        version=__version__,
        instructions=INSTRUCTIONS,
        tools=list(tools(config.settings.packs)),
        lifespan=lifespan,
        middleware=[_spellings],
        log_level="WARNING",
        cache_hints={"tools/list": CacheHint(ttl_ms=300_000, scope="public")},
    )
    logging.getLogger("mcp").setLevel(logging.WARNING)
    _resources(server)
    _completions(server, opened)
    return server


async def _spellings(ctx: Any, call_next: Any) -> Any:
    """A call to `compare-models` is answered as `compare_models`."""
    params = ctx.params
    if ctx.method == "tools/call" and isinstance(params, dict):
        name = params.get("name")
        if isinstance(name, str) and "-" in name:
            ctx = replace(ctx, params={**params, "name": name.replace("-", "_")})
    return await call_next(ctx)


def _resources(server: MCPServer[Life]) -> None:
    @server.resource(
        "runs://{run_id}{?offset}",
        name="run",
        title="A finished run",
        description="The whole result of a run, from a character offset on.",
        mime_type="text/plain",
    )
    async def run(run_id: str, ctx: Context[Any], offset: str = "0") -> str:
        service = ctx.request_context.lifespan_context.service
        found = await service.runs.result(run_id, current())
        if found is None:
            raise ResourceNotFoundError(f"there is no run {run_id[:80]!r}")
        return rest(found["result"] or {}, int(offset) if offset.isdigit() else 0)

    @server.resource(
        "models://{name}",
        name="model",
        title="A model",
        description="What is known of one model: capabilities, limits, price.",
        mime_type="application/json",
    )
    async def model(name: str, ctx: Context[Any]) -> str:
        service = ctx.request_context.lifespan_context.service
        try:
            target = service.catalog.find(name)
        except Error as exc:
            raise ResourceNotFoundError(str(exc)) from None
        listing = await list_models(service, provider=target.provider_id)
        rows = [row for row in listing.models if row.model == target.name]
        return json.dumps(rows[0].model_dump(mode="json") if rows else {"model": target.name})


def _completions(server: MCPServer[Life], opened: list[Service]) -> None:
    @server.completion()  # type: ignore[no-untyped-call,untyped-decorator]  # the SDK leaves it untyped
    async def complete(ref: Any, argument: Any, context: Any) -> Completion | None:
        if argument.name not in {"model", "name"} or not opened:
            return None
        if argument.name == "name" and not (
            isinstance(ref, ResourceTemplateReference) and str(ref.uri).startswith("models:")
        ):
            return None
        return await names(opened[0], argument.value)


async def names(service: Service, begun: str) -> Completion:
    """Model names that begin with, or else contain, what was typed: those that can be asked first."""
    listing = await list_models(service)
    known = [
        *(row.model for row in listing.models),
        "auto",
        "pro",
        "balanced",
        "lite",
        *service.config.settings.aliases,
    ]
    lower = begun.lower()
    found = [name for name in known if name.lower().startswith(lower)]
    found += [name for name in known if lower in name.lower() and name not in found]
    return Completion(values=found[:COMPLETED], total=len(found), has_more=len(found) > COMPLETED)


def definitions(config: Config) -> list[Mapping[str, Any]]:
    """The tool list as it goes over the wire, for counting what it costs a caller."""
    return [
        {
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "inputSchema": tool.parameters,
            "outputSchema": tool.output_schema,
            "annotations": tool.annotations.model_dump(by_alias=True, exclude_none=True) if tool.annotations else {},
        }
        for tool in tools(config.settings.packs)
    ]
