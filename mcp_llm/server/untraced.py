"""The SDK makes a span of every message, a tenth of a small call's cost; where nobody takes spans it is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_llm import telemetry

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from mcp_llm.settings import Telemetry


def spare(server: MCPServer[Any], wanted: Telemetry) -> None:
    """Take the SDK's own spans out of the chain unless a tracer provider is configured by now."""
    if telemetry.tracer(wanted) is None:
        chain = server.middleware
        chain[:] = [each for each in chain if type(each).__module__ != "mcp.server._otel"]
