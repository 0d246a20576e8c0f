"""The tools of a real server as a caller has them, over a scripted provider, and a port that has to stay silent.

The client is the SDK's, in memory. The provider is `acme`, with a key; what a line of the corpus asks of `openai` would
come to the same place.
"""

from __future__ import annotations

import json
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from canary import KEY
from faults.asking import QUICK
from faults.server import FaultServer, Reply
from mcp import Client

from mcp_llm import config as configuration
from mcp_llm.server.build import build
from mcp_llm.server.life import Heart

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from mcp_llm.app import App

LEAKS = ("Traceback", "pydantic", ".py", "mcp-llm itself failed", KEY)
"""What no answer of ours may hold."""


@dataclass
class Caller:
    """A connected client, the server's app, and what reached the provider."""

    client: Client
    app: App
    upstream: FaultServer

    async def call(self, tool: str, arguments: Any, within: float = 30) -> Any:
        """The result, whatever it says; nothing in it may leak."""
        with anyio.fail_after(within):
            result: Any = await self.client.call_tool(tool, arguments)
        told = said(result) + json.dumps(result.structured_content)
        assert [leak for leak in LEAKS if leak in told] == []
        return result

    async def refused(self, tool: str, arguments: Any) -> str:
        """The words of an error that cost nothing: nobody was asked, and no row of the ledger is there."""
        result = await self.call(tool, arguments)
        assert result.is_error, result.content
        assert (self.upstream.requests, await self.ledger()) == ([], [])
        assert len(said(result)) < 1000
        return said(result)

    async def answered(self, tool: str, arguments: Any) -> Any:
        """The structured content of a good answer."""
        result = await self.call(tool, arguments)
        assert not result.is_error, result.content
        return result.structured_content

    async def ledger(self) -> list[tuple[str, str | None]]:
        """(outcome, context) of the rows, oldest first."""
        rows = await self.app.runs.store.query("SELECT outcome, context FROM ledger ORDER BY id")
        return [tuple(row) for row in rows]

    def bodies(self) -> list[Any]:
        """What the provider was sent, as JSON."""
        return [json.loads(request.body) for request in self.upstream.requests if request.body]


def said(result: Any) -> str:
    """All words of a result."""
    return "\n".join(block.text for block in result.content if block.type == "text")


@asynccontextmanager
async def calling(
    home: Path, script: Sequence[Reply], *, provider: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Caller]:
    """A server over this script; `provider` is laid over the catalog's entry."""
    with FaultServer(script) as upstream:
        (home / ".env").write_text(f"ACME_API_KEY={KEY}\nOPENAI_API_KEY={KEY}\n")
        here = {"base_url": upstream.url}
        overrides = {
            "discover": False,
            "timeouts": QUICK,
            "packs": ("core", "media", "ops", "workflow"),
            "default": "acme:m",
            "operations": dict.fromkeys(("embed", "image", "speech"), "acme:m"),
            "providers": {"openai": here, "acme": {**here, **(provider or {})}},
            **settings,
        }
        opened: list[Any] = []
        server = build(configuration.load(overrides=overrides), opened, Heart(first=0.01, beat=0.01))
        async with Client(server) as client:
            await client.call_tool("runs", {"action": "list"})  # the lifespan has begun
            yield Caller(client, opened[0], upstream)


class Tripwire:
    """A port of this machine that nobody may connect to."""

    def __enter__(self) -> str:
        self._socket = socket.create_server(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *args: object) -> None:
        self._socket.setblocking(False)
        try:
            self._socket.accept()
        except BlockingIOError:
            return
        finally:
            self._socket.close()
        raise AssertionError("something connected to the port that was to stay silent")
