"""A server on a free loopback port in this process, and raw requests to it, byte for byte."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from mcp_llm.server.http.run import listen, server_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from mcp_llm.app import App
    from mcp_llm.server.http.app import Application

JSON = "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
ABOUT = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
}


@dataclass
class Answer:
    """A whole HTTP answer: header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The message; of a stream the last one."""
        if self.headers["content-type"] != "text/event-stream":
            return json.loads(self.body)
        return json.loads(self.body.rpartition(b"data: ")[2].partition(b"\r\n")[0])

    @classmethod
    def of(cls, data: bytes) -> Answer:
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            body = unchunked(body)
        return cls(int(first.split()[1]), headers, body)


def unchunked(data: bytes) -> bytes:
    """The body of what came in chunks."""
    body = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        body += rest[: int(size, 16)]
        data = rest[int(size, 16) + 2 :]
    return body


@dataclass
class Served:
    """A running server: `raw` sends bytes and reads to the end, `ask` a whole request that ends its connection."""

    port: int
    application: Any = None
    opened: Any = None
    http: Any = None
    """The uvicorn server."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def app(self) -> App:
        found: App = self.opened[0]
        return found

    async def raw(self, data: bytes) -> bytes:
        with anyio.fail_after(20):
            async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
                await stream.send(data)
                return await drain(stream)

    async def ask(
        self, path: str = "/mcp", *, method: str = "GET", head: str = "", body: bytes = b"", host: str | None = None
    ) -> Answer:
        host = f"127.0.0.1:{self.port}" if host is None else host
        length = f"content-length: {len(body)}\r\n" if body else ""
        text = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{length}{head}\r\n"
        return Answer.of(await self.raw(text.encode("latin-1") + body))

    @asynccontextmanager
    async def connected(self, data: bytes = b"") -> AsyncIterator[Any]:
        """A connection with these bytes sent."""
        async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
            if data:
                await stream.send(data)
            yield stream

    def request(self, message: Any, head: str = "") -> bytes:
        """A message of 2026-07-28 as bytes."""
        body = json.dumps(message).encode()
        first = f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-length: {len(body)}\r\n"
        return f"{first}{modern(message)}{head}\r\n".encode() + body

    async def post(self, message: Any, head: str = "", **more: Any) -> Answer:
        """One message of 2026-07-28."""
        return await self.ask(method="POST", head=modern(message) + head, body=json.dumps(message).encode(), **more)


def call(name: str, arguments: dict[str, Any], number: int = 1, **meta: Any) -> dict[str, Any]:
    """A `tools/call` of 2026-07-28."""
    params = {"name": name, "arguments": arguments, "_meta": {**ABOUT, **meta}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def modern(message: dict[str, Any]) -> str:
    """The headers that go with a message of 2026-07-28."""
    name = message["params"].get("name") or message["params"].get("uri")
    named = f"mcp-name: {name}\r\n" if name else ""
    return f"{JSON}mcp-protocol-version: 2026-07-28\r\nmcp-method: {message['method']}\r\n{named}"


async def drain(stream: Any) -> bytes:
    """Everything until the other side closes or resets."""
    data = b""
    try:
        while True:
            data += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return data


def bearer(token: str) -> str:
    """The header of a raw request."""
    return f"authorization: Bearer {token}\r\n"


@asynccontextmanager
async def client(server: Any, token: str, mode: Any = "auto") -> AsyncIterator[Client]:
    """An official client with this token."""
    headers = {"authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=20) as http,
        Client(streamable_http_client(server.url, http_client=http), mode=mode) as host,
    ):
        yield host


async def known(server: Any, token: str) -> None:
    """Return once the server has looked at the table of tokens again."""
    with anyio.fail_after(20):
        while (await server.post(call("list_models", {}), bearer(token))).status == 401:
            pass


async def until(found: Callable[[], Any]) -> None:
    """Wait for what no event tells of, twenty seconds at most."""
    with anyio.fail_after(20):
        while not found():  # noqa: ASYNC110 - it is in another process, or in a library
            await anyio.sleep(0.01)


@asynccontextmanager
async def serving(application: Application, opened: Any = None, **limits: Any) -> AsyncIterator[Served]:
    """The application under the real server, in this process."""
    server = server_of(application, **limits)
    with listen("127.0.0.1", 0) as sock:
        async with application.lifespan(), anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: server.serve(sockets=[sock]))  # connections queue until it is up
            try:
                yield Served(sock.getsockname()[1], application, opened, server)
            finally:
                server.should_exit = True


@contextmanager
def launched(*flags: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`mcp-llm serve --http` in a process of its own, in this environment; (process, port)."""
    command = [sys.executable, "-m", "mcp_llm", "serve", "--http", "--port", "0", *flags]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as child:
        try:
            assert child.stderr is not None
            line = next((line for line in child.stderr if "serving MCP on" in line), None)
            if line is None:
                raise AssertionError(f"it did not start: {child.wait()}")
            yield child, int(line.rstrip().removesuffix("/mcp").rpartition(":")[2])
        finally:
            if child.poll() is None:
                child.kill()
            child.communicate()


def upstream(home: Path, url: str) -> None:
    """The provider `gate` of a server that speaks the compatible wire; its model is `gate:m`."""
    folder = home / "providers"
    folder.mkdir(exist_ok=True)
    (folder / "gate.toml").write_text(
        f'name = "Gate"\nbase_url = "{url}"\nopen = true\n\n[auth]\nrequired = false\nenv = "GATE_API_KEY"\n'
        'headers = { Authorization = "Bearer {key}" }\n\n[wires]\nchat = "openai"\n'
    )


def said(text: str) -> bytes:
    """The beginning of a streamed reply: these words, and no end."""
    data = json.dumps({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
    return f"data: {data}\n\n".encode()
