"""Our MCP client as the suite's command under test: `client.py URL`, told what to do by the suite's own variables.

It goes the way an agent's tools go: a server of the settings, opened by `open_servers`, called through its Group.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import anyio

from mcp_llm.settings import Server
from mcp_llm.toolsets.connect import open_servers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.toolsets.compose import Group

NAME: Final = "s"
PREFIX: Final = f"{NAME}__"
KINDS: Final[dict[object, Any]] = {"string": "x", "integer": 0, "number": 0, "boolean": False, "object": {}}


def context() -> dict[str, Any]:
    """What the suite says beside the URL."""
    told: dict[str, Any] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    return told


async def add(group: Group) -> None:
    """The one tool of several scenarios."""
    await group.call(f"{PREFIX}add_numbers", {"a": 5, "b": 3})


async def everything(group: Group) -> None:
    """Every tool that is offered, with the least arguments it takes."""
    for tool in await group.list():
        schema = tool.spec.parameters
        fields = schema.get("properties", {})
        await group.call(tool.name, {name: KINDS[fields[name].get("type")] for name in schema.get("required", [])})


async def given(group: Group) -> None:
    """The calls that the suite wants, where their tools are offered."""
    offered = {tool.name for tool in await group.list()}
    for call in context()["toolCalls"]:
        if (name := PREFIX + call["name"]) in offered:
            await group.call(name, call.get("arguments") or {})


async def echo(group: Group) -> None:
    """Send a schema back as we have it, so that the suite sees what got lost."""
    schemas = {tool.name: tool.spec.parameters for tool in await group.list()}
    schema = schemas[f"{PREFIX}json_schema_2020_12_tool"]
    await group.call(f"{PREFIX}json_schema_echo", {"schema": schema})


SCENARIOS: Final[dict[str, Callable[[Group], Awaitable[None]]]] = {
    "tools_call": add,
    "request-metadata": add,
    "http-standard-headers": add,
    "http-custom-headers": given,
    "json-schema-2020-12-preservation": echo,
}
"""What is done besides connecting and listing; `everything` where nothing is said."""


async def main(url: str, scenario: str) -> int:
    async with open_servers([NAME], {NAME: Server(url=url)}, lambda _: None) as group:
        if group.errors:
            print(group.errors[NAME], file=sys.stderr)
            return 1
        for tool in await group.list():
            print(tool.name)
        await SCENARIOS.get(scenario, everything)(group)
    return 0


if __name__ == "__main__":
    sys.exit(anyio.run(main, sys.argv[1], os.environ.get("MCP_CONFORMANCE_SCENARIO", "")))
