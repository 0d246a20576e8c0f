"""What a token may call: globs of tools. Others are neither listed to it nor called for it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from mcp.types import CallToolResult, TextContent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext


async def narrow(globs: Sequence[str], ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Answer a message for somebody who may call these tools only."""
    if ctx.method == "tools/call":
        name = str((ctx.params or {}).get("name", ""))
        if not _may(globs, name):
            words = f"this token may not call {name[:80]!r}, only {', '.join(globs)}"
            return CallToolResult(content=[TextContent(type="text", text=words)], is_error=True)
    result = await call_next(ctx)
    if ctx.method != "tools/list" or not isinstance(result, dict):
        return result
    private = {"cacheScope": "private"} if "cacheScope" in result else {}
    return {**result, **private, "tools": [tool for tool in result["tools"] if _may(globs, tool["name"])]}


def _may(globs: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
