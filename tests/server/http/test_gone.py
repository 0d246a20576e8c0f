"""Calls whose client cancels, drops its connection or is killed: T29, F19, HTS-014, HTS-015. What arrived is kept."""

from __future__ import annotations

import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from faults.replies import SSE
from faults.server import FaultServer, Reply
from mcp import Client
from server.http.talking import call, said, until, upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

CALLER = Path(__file__).with_name("caller.py")
HALF = said("half an answer")
HANGING = Reply(headers=SSE, body=HALF, framing="chunked", hang=len(HALF))
ASKED = {"prompt": "hi", "model": "gate:m"}


@asynccontextmanager
async def calling(served: Any, home: Path, mode: str, wait_s: float = 300, **more: Any) -> AsyncIterator[Any]:
    """(server, provider, host process) with the call under way."""

    def start(url: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(CALLER), url, mode, "hi", str(wait_s)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    with FaultServer([HANGING] * 4) as provider:
        upstream(home, provider.url)
        async with served(**more) as server:
            with start(server.url) as host:
                try:
                    await anyio.to_thread.run_sync(provider.wait_request, 20)
                    await until(lambda: provider.sent > len(HALF) + 50)  # the words have left ...
                    for _ in range(2):
                        await server.ask("/health")  # ... and our loop has had time to read them
                    yield server, provider, host
                finally:
                    host.kill()


async def row(server: Any) -> Any:
    """(status, partial) of the only run, once it has ended."""
    rows: list[Any] = []
    with anyio.fail_after(20):
        while not rows:
            rows = await server.app.store.query("SELECT status, json_extract(result, '$.partial') FROM runs")
    return rows[0]


async def test_hts_014_015_a_killed_client_ends_its_call_and_what_arrived_is_kept(
    served: Any, home: Path, mode: Any
) -> None:
    async with calling(served, home, mode, grace=0.2) as (server, provider, host):
        assert server.application.calls.running == 1
        host.kill()
        await anyio.to_thread.run_sync(provider.wait_closed, 20)
        assert await row(server) == ("cancelled", "half an answer")
        await until(lambda: server.application.calls.running == 0)


async def test_a_legacy_client_that_is_there_is_not_taken_for_gone(served: Any, home: Path) -> None:
    async with calling(served, home, "legacy", grace=0.0) as (server, provider, _):
        async with Client(server.url, mode="legacy") as other:
            for _ in range(3):
                await other.list_tools()
        assert (server.application.calls.running, provider.open) == (1, 1)


async def test_a_legacy_client_is_given_its_grace(served: Any, home: Path) -> None:
    async with calling(served, home, "legacy", grace=60) as (server, provider, host):
        host.kill()
        await anyio.to_thread.run_sync(host.wait)
        await until(lambda: not server.http.server_state.connections)
        async with Client(server.url) as other:
            await other.list_tools()
        assert (server.application.calls.running, provider.open) == (1, 1)


async def test_a_run_that_was_handed_back_goes_on_without_its_client(served: Any, home: Path, mode: Any) -> None:
    async with calling(served, home, mode, wait_s=0, grace=0.0) as (server, provider, host):
        line = await anyio.to_thread.run_sync(host.stdout.readline)
        assert b"'status': 'running'" in line
        host.kill()
        await anyio.to_thread.run_sync(host.wait)
        await until(lambda: not server.http.server_state.connections)
        async with Client(server.url) as other:
            listed: Any = await other.call_tool("runs", {"action": "list"})
            (run,) = listed.structured_content["runs"]
            assert (run["status"], provider.open) == ("running", 1)
            ended: Any = await other.call_tool("runs", {"action": "cancel", "run_id": run["run_id"]})
            assert ended.structured_content["status"] == "cancelled"
        await anyio.to_thread.run_sync(provider.wait_closed, 20)


async def test_a_client_that_cancels_ends_its_call_at_once(served: Any, home: Path, mode: Any) -> None:
    with FaultServer([HANGING]) as provider:
        upstream(home, provider.url)
        async with served(grace=60) as server, Client(server.url, mode=mode) as host:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(host.call_tool, "generate", ASKED)
                await anyio.to_thread.run_sync(provider.wait_request, 20)
                tasks.cancel_scope.cancel()
            await anyio.to_thread.run_sync(provider.wait_closed, 20)
            assert (await row(server))[0] == "cancelled"
            assert not (await host.call_tool("generate", {"prompt": "hi", "model": "demo"})).is_error


async def test_a_raw_connection_that_is_reset_ends_its_call(served: Any, home: Path) -> None:
    with FaultServer([HANGING] * 3) as provider:
        upstream(home, provider.url)
        async with served(grace=60) as server:
            for _ in range(3):
                async with server.connected(server.request(call("generate", ASKED))):
                    await anyio.to_thread.run_sync(provider.wait_request, 20)
                await anyio.to_thread.run_sync(provider.wait_closed, 20)
            await until(lambda: server.application.calls.running == 0)


async def test_progress_reaches_the_client_while_it_waits(served: Any, home: Path, mode: Any) -> None:
    with FaultServer([HANGING]) as provider:
        upstream(home, provider.url)
        told = anyio.Event()

        async def progress(progress: float, total: float | None, message: str | None) -> None:
            told.set()

        async with served() as server, Client(server.url, mode=mode) as host, anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: host.call_tool("generate", ASKED, progress_callback=progress))
            with anyio.fail_after(20):
                await told.wait()
            tasks.cancel_scope.cancel()
