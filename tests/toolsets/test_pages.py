"""A server's list of tools is read to its end, by cursors that mean nothing to us."""

from __future__ import annotations

from typing import Any

import mcp_types as types
import pytest
from mcp import Client
from mcp.server.lowlevel import Server

from mcp_llm.toolsets.pages import read

pytestmark = pytest.mark.anyio

PAGES: dict[str | None, tuple[str, str | None]] = {None: ("one", ""), "": ("two", "x y"), "x y": ("three", None)}


async def test_every_page_is_read_also_behind_an_empty_cursor() -> None:
    seen: list[str | None] = []

    async def listed(ctx: Any, params: Any) -> types.ListToolsResult:
        cursor = params.cursor if params is not None else None
        seen.append(cursor)
        name, following = PAGES[cursor]
        return types.ListToolsResult(
            tools=[types.Tool(name=name, input_schema={"type": "object"})], next_cursor=following
        )

    async with Client(Server("paged", on_list_tools=listed), mode="legacy", cache=None) as client:
        tools = await read(client, lambda _: None)
    assert ([tool.name for tool in tools], seen) == (["one", "two", "three"], [None, "", "x y"])
