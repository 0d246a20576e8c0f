"""From cancelling a call to the provider's socket closed, over every transport, and when a client simply vanishes.

Before the provider has said a word and in the middle of its answer by turns. The time is taken here: from the cancel,
or the kill, to the end of the connection at a provider on loopback. Servers and clients that are killed are processes
of their own. A client of the older protocol that vanishes is not told from one that will be back, so it has a grace.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from faults.asking import Asking
from faults.replies import SSE
from faults.server import FaultServer, Reply
from goals.figure import Figure
from mcp import Client, StdioServerParameters
from server.http import caller, talking

from mcp_llm.llm.embed import embed
from mcp_llm.llm.generate import Ask, generate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from mcp_llm.llm.service import Service

FULL, SHORT = 200, 20
LIMIT_MS, LEGACY_S = 250.0, 30.0
HALF = talking.said("half an answer")
BY_TURNS = [Reply(hang="headers"), Reply(headers=SSE, body=HALF, framing="chunked", hang=len(HALF))]
ASKED = {"prompt": "hi", "model": "gate:m", "wait_s": 300}
EMBEDS = '[models.m]\nkind = "embed"\n[models.m.price]\ninput = 1\noutput = 0\nsource = "goal"\nchecked = 2026-01-01\n'
SETTLED = 0.03
"""Seconds for words that have left the provider to be read."""


def measure(full: bool) -> Iterator[Figure]:
    """p99 in ms for each way; the worst of the clients that vanish in the older protocol in seconds."""
    times = FULL if full else SHORT
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # the client says a lot about calls that were cancelled
    with provider(times) as gate:
        yield figure("in Python, a streamed answer", anyio.run(in_python, gate, times, asked))
    with provider(times) as gate:
        yield figure("in Python, an answer that comes whole", anyio.run(in_python, gate, times, embedded))
    for mode in ("2026-07-28", "legacy"):
        with provider(times) as gate:
            yield figure(f"stdio, {mode}", anyio.run(over_stdio, gate, times, mode))
        with provider(times) as gate:
            yield figure(f"HTTP, {mode}", anyio.run(over_http, gate, times, mode))
    kills = max(3, times // 20)  # processes side by side: each is an interpreter
    with provider(kills) as gate:
        yield figure("HTTP, 2026-07-28, its client killed", anyio.run(killed, gate, kills, "2026-07-28"))
    with provider(kills) as gate:
        took = anyio.run(killed, gate, kills, "legacy")
        yield Figure(
            "HTTP, legacy, its client killed: worst", max(took) / 1000, "s", LEGACY_S, note=f"{len(took)} kills"
        )


def figure(what: str, took: list[float]) -> Figure:
    """The 99th percentile of these milliseconds."""
    p99 = quantiles(took, n=100, method="inclusive")[98]
    note = f"{len(took)} cancels, median {sorted(took)[len(took) // 2]:.1f} ms"
    return Figure(f"{what}: p99", p99, "ms", LIMIT_MS, note=note)


@contextmanager
def provider(times: int) -> Iterator[FaultServer]:
    """A provider that never ends what it says, and a home that knows it as `gate:m`."""
    kept = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder, FaultServer(BY_TURNS * (times // 2 + 1)) as gate:
        os.environ.update(MCP_LLM_HOME=folder, MCP_LLM_DISCOVER="0")
        talking.upstream(Path(folder), gate.url)
        try:
            yield gate
        finally:
            os.environ.clear()
            os.environ.update(kept)


async def cancelled(gate: FaultServer, call: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds from cancelling a call under way to the end of its connection."""
    async with anyio.create_task_group() as tasks:

        async def under_way() -> None:
            await call()

        tasks.start_soon(under_way)
        await anyio.to_thread.run_sync(gate.wait_request, 20)
        await anyio.sleep(SETTLED)
        began = time.monotonic()
        tasks.cancel_scope.cancel()
    return (await anyio.to_thread.run_sync(gate.wait_closed, 60) - began) * 1000


async def asked(service: Service) -> object:
    """A call whose answer is streamed."""
    return await generate(service, Ask("hi", "gate:m"))


async def embedded(service: Service) -> object:
    """A call whose answer comes whole."""
    return await embed(service, ["hi"], model="whole:m")


async def in_python(gate: FaultServer, times: int, call: Callable[[Service], Awaitable[object]]) -> list[float]:
    """In this process."""
    asking = Asking(Path(os.environ["MCP_LLM_HOME"]))
    asking.provider("whole", gate.url, EMBEDS)
    async with asking.open(timeouts={"total": 60}) as service:
        return [await cancelled(gate, partial(call, service)) for _ in range(times)]


async def over_stdio(gate: FaultServer, times: int, mode: Any) -> list[float]:
    """A server that is a client's child; the client cancels."""
    home = os.environ["MCP_LLM_HOME"]
    server = StdioServerParameters(command=sys.executable, args=["-m", "mcp_llm"], env={**os.environ}, cwd=home)
    async with Client(server, mode=mode) as client:
        return [await cancelled(gate, lambda: client.call_tool("generate", ASKED)) for _ in range(times)]


async def over_http(gate: FaultServer, times: int, mode: Any) -> list[float]:
    """A server of its own, and a client that stays and cancels."""
    async with http_server() as url, Client(url, mode=mode) as client:
        return [await cancelled(gate, lambda: client.call_tool("generate", ASKED)) for _ in range(times)]


async def killed(gate: FaultServer, times: int, mode: str) -> list[float]:
    """A server of its own, and clients that are killed together in the middle of their calls."""
    async with http_server() as url:
        with hosts(url, mode, times) as processes:
            for _ in processes:
                await anyio.to_thread.run_sync(gate.wait_request, 30)
            await anyio.sleep(SETTLED)
            began = time.monotonic()
            for process in processes:
                process.kill()
            closed = [await anyio.to_thread.run_sync(gate.wait_closed, 60) for _ in processes]
    return [(moment - began) * 1000 for moment in closed]


@contextmanager
def hosts(url: str, mode: str, times: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many processes that each make one call."""
    command = [sys.executable, caller.__file__, url, mode, "hi", "300"]
    with ExitStack() as stack:
        yield [stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL)) for _ in range(times)]


@asynccontextmanager
async def http_server() -> AsyncIterator[str]:
    """The URL of `mcp-llm serve --http` as a shell starts it."""
    with talking.launched() as (_, port):
        yield f"http://127.0.0.1:{port}/mcp"
