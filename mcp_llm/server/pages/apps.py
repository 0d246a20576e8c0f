"""The pages as MCP Apps: `ui://` resources, which tools they belong to, and the data they read through the host.

Only a host that says it shows Apps is told of them: for all others the tool list is what it was, and every tool's text
is whole without a page. What pages read are resources, so that no host asks a person's leave for every look.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID, Apps
from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK evaluates the annotations of resources
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.server.mcpserver.resources import FunctionResource

from mcp_llm.errors import Error
from mcp_llm.server.principal import current

from .documents import document

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server import MCPServer

    from mcp_llm.app import App

PAGES: Final = {"comparison": "ui://mcp-llm/comparison.html", "run": "ui://mcp-llm/run.html"}
TOOLS: Final = {"compare_models": "comparison", "run_agent": "run", "run_workflow": "run", "runs": "run"}
"""Tool -> the page that shows its result."""
TITLES: Final = {"comparison": "Models side by side", "run": "A run as it happens"}
_OURS: Final = ("ui://", "view://")
_LISTS: Final = {
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}
PATIENCE: Final = 10.0
"""Seconds a look waits for something new; hosts give up on a request after 60."""


def apps() -> Apps:
    """The extension, with the pages; they are read from disk when a host asks for one."""
    found = Apps()
    for name, uri in PAGES.items():
        resource = FunctionResource(
            uri=uri,
            name=name,
            title=TITLES[name],
            mime_type=APP_MIME_TYPE,
            # No domains: the page loads nothing and reaches nothing.
            meta={"ui": {"csp": {}, "prefersBorder": False}},
            fn=_page(name),
        )
        found.add_resource(resource)
    return found


def _page(name: str) -> Any:
    return lambda: document(name, "app").html


async def fitting(ctx: Any, call_next: Any) -> Any:
    """Middleware: only a host that shows pages is told of them, with its tools and among its resources."""
    result = await call_next(ctx)
    if not isinstance(result, dict):
        return result
    if "cacheScope" in result and ctx.method in {"tools/list", *_LISTS}:
        result["cacheScope"] = "private"  # hosts get different lists: none may be kept for another
    if shows(ctx):
        for tool in result.get("tools", ()) if ctx.method == "tools/list" else ():
            if page := TOOLS.get(tool["name"]):
                tool["_meta"] = {**(tool.get("_meta") or {}), "ui": {"resourceUri": PAGES[page]}}
    elif ctx.method in _LISTS:
        key, uri = _LISTS[ctx.method]
        result[key] = [one for one in result[key] if not one[uri].startswith(_OURS)]
    return result


def shows(ctx: Any) -> bool:
    """Whether the host said that it shows Apps, in either era."""
    capabilities = ctx.session.client_capabilities
    settings = (capabilities.extensions or {}).get(EXTENSION_ID) if capabilities is not None else None
    return settings is not None and APP_MIME_TYPE in (settings.get("mimeTypes") or ())


def install(server: MCPServer[Any]) -> None:
    """The resources that pages read."""

    @server.resource(
        "view://run/{run_id}{?after,wait}",
        name="view-run",
        title="A run for its page",
        description="A run's tree, what is new in it since `after`, what it asks and what it has spent.",
        mime_type="application/json",
    )
    async def run(run_id: str, ctx: Context[Any], after: str = "", wait: str = "0") -> str:
        from . import view

        seconds = min(PATIENCE, float(wait)) if wait.isdecimal() else 0.0
        return await _answer(ctx, lambda app: view.looked(app, current(), run_id, after, seconds))

    @server.resource(
        "view://runs{?kind,status}",
        name="view-runs",
        title="The newest runs for their page",
        description="The newest runs, of one kind or status where that is said.",
        mime_type="application/json",
    )
    async def runs(ctx: Context[Any], kind: str = "", status: str = "") -> str:
        from . import view

        return await _answer(ctx, lambda app: view.listed(app, current(), status=status or None, kind=kind or None))


async def _answer(ctx: Context[Any], work: Callable[[App], Awaitable[dict[str, Any]]]) -> str:
    try:
        return json.dumps(await work(ctx.request_context.lifespan_context.service), ensure_ascii=False)
    except Error as exc:
        raise ResourceNotFoundError(str(exc)) from None
