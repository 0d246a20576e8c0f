"""A server's list of tools, read page by page, as tools of ours."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND, PaginatedRequestParams

from mcp_llm.types.chat import ToolSpec

from .base import Tool, fingerprint
from .listing import MOST_PAGES, MOST_TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import mcp_types
    from mcp.client import Client

    from mcp_llm.settings import Approval, Server


async def read(client: Client, note: Callable[[str], None]) -> list[mcp_types.Tool]:
    """All tools, at most 512 of 20 pages. Raises what the SDK raises."""
    listed: dict[str, mcp_types.Tool] = {}
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(MOST_PAGES):
        try:
            page = await client.session.list_tools(
                params=None if cursor is None else PaginatedRequestParams(cursor=cursor)
            )
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND:
                return []
            raise
        for tool in page.tools:
            listed.setdefault(tool.name, tool)
        cursor = page.next_cursor
        if cursor is None:  # an empty one is a cursor like any other
            return list(listed.values())
        if cursor in seen:
            note("Its list of tools runs in a circle; what came before is used.")
            break
        seen.add(cursor)
        if len(listed) >= MOST_TOOLS:
            break
    note(f"It has more tools than are read ({MOST_TOOLS}, on at most {MOST_PAGES} pages).")
    return list(listed.values())[:MOST_TOOLS]


def offered(tool: mcp_types.Tool, server: str, rules: Mapping[str, Approval]) -> Tool:
    """The tool with what the server and the user's settings say about it."""
    said = tool.annotations
    read_only = said.read_only_hint if said else None
    destructive = said.destructive_hint if said else None
    idempotent = said.idempotent_hint if said else None
    open_world = said.open_world_hint if said else None
    hints = {
        "read_only": read_only,
        "destructive": destructive,
        "idempotent": idempotent,
        "open_world": open_world,
    }
    description = tool.description or ""
    return Tool(
        spec=ToolSpec(name=tool.name, description=description, parameters=tool.input_schema),
        server=server,
        title=tool.title,
        read_only=read_only,
        destructive=destructive,
        idempotent=idempotent,
        open_world=open_world,
        fingerprint=fingerprint(tool.name, tool.title, description, tool.input_schema, hints),
        approval=approval(tool.name, rules),
    )


def allowed(name: str, server: Server) -> bool:
    """Whether the user's settings let a tool of this name be offered and called."""
    wanted = server.allow is None or any(fnmatchcase(name, glob) for glob in server.allow)
    return wanted and not any(fnmatchcase(name, glob) for glob in server.deny)


def approval(name: str, rules: Mapping[str, Approval]) -> Approval | None:
    """What the user's globs say about a tool; the one with the most literal characters decides."""
    matching = [glob for glob in rules if fnmatchcase(name, glob)]
    return rules[max(matching, key=lambda glob: (len(glob) - sum(map(glob.count, "*?[]")), glob))] if matching else None
