"""What a token may call: globs of tools. Others are neither listed to it nor called for it.

What a tool shows is not read past it either: resources and tasks go with the tool that would give the same. The runs
that a token's own tools make are the exception, else a call that became one would be lost to it.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from mcp import MCPError
from mcp.types import INVALID_PARAMS, CallToolResult, TextContent

from mcp_llm.errors import InvalidInput
from mcp_llm.server.principal import current
from mcp_llm.server.resources.address import parse

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

SHOWS: Final = {"runs": "runs", "view": "runs", "usage": "usage", "models": "list_models", "agents": "run_agent"}
"""Scheme of a resource -> the tool that shows the same. Artifacts are known by their hash, to whoever was told it."""
COMPLETES: Final = {
    "model": "list_models",
    "models": "list_models",
    "judge": "list_models",
    "run": "runs",
    "run_id": "runs",
    "agent": "run_agent",
    "server": "run_agent",
    "servers": "run_agent",
}
"""A prompt's argument -> the tool that goes with what it is completed from."""
MAKES: Final = {"agent": "run_agent", "workflow": "run_workflow", "video": "generate_video"}
"""Kind of a run -> the tool that makes it, where that has another name."""
READS: Final = frozenset({"resources/read", "resources/subscribe", "resources/unsubscribe"})


async def narrow(globs: Sequence[str], ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Answer a message for somebody who may call these tools only. Raises MCPError for what they may not read."""
    params = ctx.params or {}
    if ctx.method == "tools/call":
        name = str(params.get("name", ""))
        if not _may(globs, name):
            words = f"this token may not call {name[:80]!r}, only {', '.join(globs)}"
            return CallToolResult(content=[TextContent(type="text", text=words)], is_error=True)
    elif ctx.method in READS:
        await _check(globs, ctx, str(params.get("uri", "")))
    elif ctx.method.startswith("tasks/"):
        await _check(globs, ctx, f"runs://{params.get('taskId', '')}")
    elif ctx.method == "subscriptions/listen":
        for uri in _listened(params):
            await _check(globs, ctx, uri)
    elif ctx.method == "completion/complete":
        _completes(globs, params)
    elif ctx.method == "prompts/get" and str(params.get("name", "")) in _hidden(globs, ctx):
        words = f"this token may not read {str(params['name'])[:80]!r}: it may call {', '.join(globs)} only"
        raise MCPError(code=INVALID_PARAMS, message=words)
    result = await call_next(ctx)
    if ctx.method not in {"tools/list", "resources/list", "prompts/list"} or not isinstance(result, dict):
        return result
    private = {"cacheScope": "private"} if "cacheScope" in result else {}
    if ctx.method == "prompts/list":
        hidden = _hidden(globs, ctx)
        return {**result, **private, "prompts": [one for one in result["prompts"] if one["name"] not in hidden]}
    if ctx.method == "resources/list":
        return {**result, **private, "resources": [one for one in result["resources"] if _shown(globs, one["uri"])]}
    return {**result, **private, "tools": [tool for tool in result["tools"] if _may(globs, tool["name"])]}


async def _check(globs: Sequence[str], ctx: ServerRequestContext[Any, Any], uri: str) -> None:
    if _shown(globs, uri):
        return
    if run_id := _run(uri):
        try:
            run = await ctx.lifespan_context.service.journals.get(run_id, current())
        except InvalidInput:  # it will be told so, in the words for everybody
            return
        if _may(globs, MAKES.get(run.kind, run.kind)):
            return
    raise _unreadable(globs, uri)


def _unreadable(globs: Sequence[str], uri: str) -> MCPError:
    words = f"this token may not read {uri[:120]!r}: it may call {', '.join(globs)} only"
    return MCPError(code=INVALID_PARAMS, message=words, data={"uri": uri})


def _completes(globs: Sequence[str], params: Mapping[str, Any]) -> None:
    ref, argument = params.get("ref"), params.get("argument")
    if isinstance(ref, dict) and "uri" in ref:
        if not _shown(globs, uri := str(ref["uri"])):
            raise _unreadable(globs, uri)
        return
    name = str(argument.get("name", "")) if isinstance(argument, dict) else ""
    if (tool := COMPLETES.get(name)) is not None and not _may(globs, tool):
        words = f"this token may not complete {name!r}: it may call {', '.join(globs)} only"
        raise MCPError(code=INVALID_PARAMS, message=words)


def _hidden(globs: Sequence[str], ctx: ServerRequestContext[Any, Any]) -> Container[str]:
    """The prompts that are agents, for whoever may not run one: their text is what `agents://` shows."""
    return () if _may(globs, "run_agent") else ctx.lifespan_context.service.prompts.agents()


def _listened(params: Mapping[str, Any]) -> list[str]:
    """The resources that a listening call names."""
    wanted = params.get("notifications")
    uris = wanted.get("resourceSubscriptions") if isinstance(wanted, dict) else None
    return [str(uri) for uri in uris] if isinstance(uris, list) else []


def _run(uri: str) -> str:
    """The id of the run that a resource is of, also where it is one long text of it; empty for all others."""
    address = parse(uri)
    if address is None or address.scheme not in {"runs", "view"}:
        return ""
    room, _, rest = address.path.partition("/")
    name = room if address.scheme == "runs" else rest if room == "run" else ""
    return name.partition("/")[0].partition(".")[0]


def _shown(globs: Sequence[str], uri: str) -> bool:
    address = parse(uri)
    tool = SHOWS.get(address.scheme) if address is not None else None
    return tool is None or _may(globs, tool)


def _may(globs: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
