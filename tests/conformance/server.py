"""Our server with the suite's fixtures beside our tools, over HTTP on a free port until stdin ends: `server.py`.

Prints its URL as the only line. `localhost` and not a number: the suite tests what a rebound name is answered.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from conformance import asking, fixtures, tasks
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore

from mcp_llm import config as configuration
from mcp_llm.server.build import build
from mcp_llm.server.http import app
from mcp_llm.server.http.run import drain, listen, server_of

if TYPE_CHECKING:
    import mcp_types as types

    from mcp_llm.server.http.app import Application

RETRY_MS = 300


class Events(EventStore):
    """What was sent, by stream, so that a client that comes back gets what it missed."""

    def __init__(self) -> None:
        self._sent: list[tuple[str, types.JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: types.JSONRPCMessage | None) -> str:
        self._sent.append((stream_id, message))
        return str(len(self._sent))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        last = int(last_event_id)
        stream = self._sent[last - 1][0]
        for number, (where, message) in enumerate(self._sent[last:], last + 1):
            if where == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def application() -> Application:
    """What `mcp-llm serve --http` serves, with the fixtures on its server and events kept for resuming."""
    config = configuration.load(overrides={"discover": False})
    opened: list[Any] = []
    server = build(config, opened)
    fixtures.add(server)
    asking.add(server)
    tasks.add(server)
    return app.build(config, server, opened, event_store=Events(), retry_interval=RETRY_MS)


async def main() -> None:
    served = application()
    http = server_of(served)
    sock = listen("127.0.0.1", 0)

    async def until_left() -> None:
        await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        await drain(served, http)

    async with served.lifespan(), anyio.create_task_group() as tasks:
        tasks.start_soon(until_left)
        print(f"http://localhost:{sock.getsockname()[1]}/mcp", flush=True)
        await http.serve(sockets=[sock])


if __name__ == "__main__":
    anyio.run(main)
