"""Our server with the suite's fixtures beside our tools, over HTTP on a free port until stdin ends: `server.py`.

Prints its URL as the only line. `localhost` and not a number: the suite tests what a rebound name is answered.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import uvicorn
from conformance import asking, fixtures
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore

from mcp_llm import config as configuration
from mcp_llm.server.build import build

if TYPE_CHECKING:
    import mcp_types as types
    from starlette.applications import Starlette

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


def app() -> Starlette:
    """The ASGI app."""
    server = build(configuration.load(overrides={"discover": False}))
    fixtures.add(server)
    asking.add(server)
    return server.streamable_http_app(event_store=Events(), retry_interval=RETRY_MS)


async def main() -> None:
    http = uvicorn.Server(uvicorn.Config(app(), port=0, log_level="warning"))

    async def until_left(scope: anyio.CancelScope) -> None:
        await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        http.should_exit = True
        with anyio.move_on_after(3):
            await anyio.sleep_forever()
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(http.serve)
        while not http.started:  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(0.01)
        port = http.servers[0].sockets[0].getsockname()[1]
        print(f"http://localhost:{port}/mcp", flush=True)
        await until_left(tasks.cancel_scope)


if __name__ == "__main__":
    anyio.run(main)
