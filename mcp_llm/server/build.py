"""The MCP server put together from its rooms, over one Service for the life of the process."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mcp import MCPError
from mcp.server import CacheHint, MCPServer
from mcp.types import INVALID_PARAMS

from mcp_llm import __version__

from . import completing, prompts
from .changes import Changes
from .icons import ICONS
from .life import Heart, Life
from .lifespan import live
from .pages import apps as pages
from .resources import serve as resources
from .seal import Seal
from .tasks import Tasks
from .tools import PACKS, pack_of, tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from mcp.server.caching import CacheableMethod

    from mcp_llm.config import Config
    from mcp_llm.llm.service import Service

INSTRUCTIONS: Final = (
    "Ask any LLM. `generate` sends one prompt to one model, `compare_models` the same to several, `run_agent` hands a "
    "task to an agent with tools; leave `model` out to use the user's default, `list_models` says what can be asked. "
    "Every answer has a run id; what takes long is handed back as one, and `runs` collects it."
)
CACHED: Final[dict[CacheableMethod, CacheHint]] = {
    "server/discover": CacheHint(ttl_ms=3_600_000, scope="public"),
    "tools/list": CacheHint(ttl_ms=300_000, scope="public"),
    "prompts/list": CacheHint(ttl_ms=300_000, scope="public"),
    "resources/templates/list": CacheHint(ttl_ms=3_600_000, scope="public"),
    "resources/list": CacheHint(ttl_ms=5_000, scope="private"),
}
"""How long clients may keep what lists say; who listens for changes hears of them earlier."""
OURS: Final = frozenset(name for members in PACKS.values() for name in members)


def build(
    config: Config,
    opened: list[Service] | None = None,
    heart: Heart | None = None,
    changes: Changes | None = None,
    seal: Seal | None = None,
) -> MCPServer[Life]:
    """The server for this configuration; nothing is opened before it runs, nor by it before a call needs it.

    Where `opened` is given, the Service is open from the beginning, and in there while it is. Raises ConfigError for
    settings with which no call could be served.
    """
    if prices := config.settings.prices:
        from mcp_llm.catalog.price import user_rates

        user_rates(prices)
    changes, seal = changes or Changes(), seal or Seal()

    @asynccontextmanager
    async def lifespan(_: MCPServer[Life]) -> AsyncIterator[Life]:
        async with live(config, heart or Heart(), changes, seal) as life:
            if opened is None:
                yield life
                return
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
        icons=list(ICONS),
        tools=list(tools(config.settings.packs)),
        lifespan=lifespan,
        middleware=[_spellings, pages.fitting],
        extensions=[pages.apps(), Tasks()],
        log_level="WARNING",
        cache_hints=CACHED,
        subscriptions=changes.shared,
        request_state_security=seal.security(),
    )
    logging.getLogger("mcp").setLevel(logging.WARNING)
    server.middleware.insert(0, seal)
    server.middleware.append(_switched_off(server, config.settings.packs))
    resources.install(server)
    prompts.install(server)
    completing.install(server)
    changes.install(server)
    pages.install(server)
    return server


async def _spellings(ctx: Any, call_next: Any) -> Any:
    """A call to `compare-models` is answered as `compare_models`."""
    params = ctx.params
    if ctx.method == "tools/call" and isinstance(params, dict):
        name = params.get("name")
        # Only ours: a tool that somebody else put on the server may have a hyphen of its own.
        if isinstance(name, str) and "-" in name and (spelled := name.replace("-", "_")) in OURS:
            ctx = replace(ctx, params={**params, "name": spelled})
    return await call_next(ctx)


def _switched_off(server: MCPServer[Life], packs: Sequence[str]) -> Any:
    """Middleware: a tool of ours in a pack that is off is not merely unknown."""

    async def middleware(ctx: Any, call_next: Any) -> Any:
        name = ctx.params.get("name") if ctx.method == "tools/call" and isinstance(ctx.params, dict) else None
        pack = pack_of(name) if isinstance(name, str) else None
        if pack in (None, "core", *packs) or any(tool.name == name for tool in await server.list_tools()):
            return await call_next(ctx)
        raise MCPError(
            INVALID_PARAMS,
            f"the tool {name!r} is in the pack `{pack}`, which is off here: start the server with --packs {pack}, or "
            "name it in MCP_LLM_PACKS",
        )

    return middleware


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
