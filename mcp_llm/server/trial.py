"""The server as a host sees it: started as a process of its own, spoken to over stdio by the SDK's client.

For the demo and for people who doubt their installation. It asks what the caller wants asked and judges nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import Implementation, TextContent
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from mcp_llm import __version__
from mcp_llm.errors import ToolFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mcp.types import CallToolResult

PATIENCE: Final = 120.0
"""Seconds for everything together."""


def eras() -> dict[str, tuple[str, ...]]:
    """Era -> the protocol versions of it that the server speaks."""
    return {"stateless": tuple(MODERN_PROTOCOL_VERSIONS), "handshake": tuple(HANDSHAKE_PROTOCOL_VERSIONS)}


async def trial(
    command: Sequence[str],
    environment: Mapping[str, str],
    prompt: str,
    tell: Callable[[str, dict[str, Any]], None],
) -> None:
    """Start the server, list its tools, ask for its models and for one answer; `tell(step, data)` after each step.

    Raises ToolFailed when the server does not come up, does not answer in time, or a tool gives an error.
    """
    parameters = StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(environment))
    try:
        with anyio.fail_after(PATIENCE):
            async with Client(parameters, client_info=Implementation(name="mcp-llm-demo", version=__version__)) as host:
                await _steps(host, prompt, tell)
    except TimeoutError:
        raise ToolFailed(f"the server did not answer within {PATIENCE:.0f} s") from None
    except (OSError, MCPError) as exc:
        raise ToolFailed(f"the server did not come up or went away: {exc}") from None


async def _steps(host: Client, prompt: str, tell: Callable[[str, dict[str, Any]], None]) -> None:
    version = host.protocol_version
    era = next((name for name, versions in eras().items() if version in versions), "unknown")
    info = host.server_info
    name = f"{info.name} {info.version}" if info else "a server without a name"
    tell("started", {"server": name, "protocol": version, "era": era})
    listed = await host.list_tools()
    tell("tools", {"tools": [tool.name for tool in listed.tools]})
    models = await host.call_tool("list_models", {})
    data = _data(models)
    tell(
        "models", {"default": data.get("default"), "because": data.get("because"), "count": len(data.get("models", ()))}
    )
    answer = await host.call_tool("generate", {"prompt": prompt})
    tell("answer", {"prompt": prompt, "text": _text(answer), "structured": _data(answer)})


def _data(result: CallToolResult) -> dict[str, Any]:
    if result.is_error:
        raise ToolFailed(_text(result) or "the tool failed without saying why")
    return dict(result.structured_content or {})


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
