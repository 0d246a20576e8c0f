"""`completion/complete`: models, agents, servers, runs and the like, for prompts' arguments and resource templates.

At most 100 values, only the caller's own, and nothing for an argument that could be anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mcp.types import CompleteRequestParams, CompleteResult, Completion, ResourceTemplateReference

from mcp_llm.llm import usage

from .principal import current

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from mcp.server import MCPServer

    from mcp_llm.app import App

    from .life import Life

    Source: TypeAlias = Callable[[App, str], Awaitable[Iterable[str]]]

MOST: Final = 100
"""Values a completion may give, by the specification."""
TIERS: Final = ("pro", "balanced", "lite")
SINCE: Final = ("today", "24h", "7d", "30d", "all")


async def _models(app: App, principal: str) -> Iterable[str]:
    from mcp_llm.llm.listing import list_models

    listing = await list_models(app)
    return [*(row.model for row in listing.models), "auto", *TIERS, *app.config.settings.aliases]


async def _agents(app: App, principal: str) -> Iterable[str]:
    return sorted(app.prompts.agents())


async def _servers(app: App, principal: str) -> Iterable[str]:
    return sorted(name for name, server in app.config.settings.servers.items() if not server.disabled)


async def _runs(app: App, principal: str) -> Iterable[str]:
    return [info.id for info in await app.journals.list(principal, limit=MOST, brief=True)]


async def _artifacts(app: App, principal: str) -> Iterable[str]:
    from anyio import to_thread

    found = await to_thread.run_sync(lambda: app.artifacts.all(principal=principal, limit=MOST))
    return [one.sha256 for one in found]


def _fixed(*values: str) -> Source:
    async def source(app: App, principal: str) -> Iterable[str]:
        return values

    return source


ARGUMENTS: Final[dict[str, Source]] = {
    "model": _models,
    "models": _models,
    "judge": _models,
    "agent": _agents,
    "server": _servers,
    "servers": _servers,
    "run": _runs,
    "run_id": _runs,
    "tier": _fixed(*TIERS),
}
"""A prompt's argument of this name -> what it can be."""
VARIABLES: Final[dict[tuple[str, str], Source]] = {
    ("models", "name"): _models,
    ("agents", "name"): _agents,
    ("runs", "id"): _runs,
    ("artifacts", "sha256"): _artifacts,
    ("usage", "by"): _fixed(*usage.GROUPS),
    ("usage", "since"): _fixed(*SINCE),
}
"""(scheme, variable) of a resource template -> what it can be."""


def install(server: MCPServer[Life]) -> None:
    """Complete for whoever asks."""

    async def complete(ctx: Any, params: CompleteRequestParams) -> CompleteResult:
        source: Source | None
        if isinstance(params.ref, ResourceTemplateReference):
            source = VARIABLES.get((params.ref.uri.partition("://")[0], params.argument.name))
        else:
            source = ARGUMENTS.get(params.argument.name)
        if source is None:
            return CompleteResult(completion=Completion(values=[], total=0, has_more=False))
        values = await source(ctx.lifespan_context.service, current())
        return CompleteResult(completion=matching(values, params.argument.value))

    server._lowlevel_server.add_request_handler("completion/complete", CompleteRequestParams, complete)


def matching(values: Iterable[str], begun: str) -> Completion:
    """The values that begin with what was typed, then those that contain it."""
    lower = begun.lower()
    unique = dict.fromkeys(values)
    found = [name for name in unique if name.lower().startswith(lower)]
    found += [name for name in unique if lower in name.lower() and not name.lower().startswith(lower)]
    return Completion(values=found[:MOST], total=len(found), has_more=len(found) > MOST)
