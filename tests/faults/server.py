"""A scripted upstream on loopback: raw TCP with a loop in its own thread, for sync, async and subprocess tests.

    with FaultServer([Reply(status=503), Reply(body=b"{}")]) as server:   # in order, the last one repeats
        ... server.url ... server.requests ... server.wait_closed()

`scripts={"name": [...]}` plays another script for requests below `/name/`. Nothing is random; every request is counted.
`tunnel` makes it a proxy that joins every CONNECT to that port here.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, cast

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

__all__ = ["FaultServer", "Received", "Reply", "head"]

_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Reply:
    """What one request is answered with.

    `hang` and `reset` say when the server stops: "headers" before them, a number after so many bytes of the body, None
    never. `piece`/`every` drip the body. `forever` is repeated after the body until the peer is gone. `raw` replaces
    the status line and headers. `framing` "length" may lie with `length`.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    body: bytes = b""
    framing: Literal["length", "chunked", "close", "none"] = "length"
    length: int | None = None
    piece: int | None = None
    every: float = 0.0
    forever: bytes | None = None
    hang: int | Literal["headers"] | None = None
    reset: int | Literal["headers"] | None = None
    raw: bytes | None = None
    close: bool = False
    """Close the connection after the reply, without having said so: the next request on it finds it stale."""
    early: bool = False
    """Answer as soon as the head of the request is here; its body is never read."""


@dataclass(frozen=True)
class Received:
    """One request as it came; `connection` counts from 1."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


class FaultServer:
    """Answers by script. Use it with `with`, also in async tests: nothing in it waits for the test's own loop."""

    def __init__(
        self,
        script: Sequence[Reply] = (),
        *,
        scripts: Mapping[str, Sequence[Reply]] | None = None,
        tls: ssl.SSLContext | None = None,
        greeting: bytes = b"",
        host: str = "127.0.0.1",
        send_buffer: int | None = None,
        tunnel: int | None = None,
        joined: bytes = b"HTTP/1.1 200 Connected\r\n\r\n",
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.open = 0
        self.sent = 0
        """Bytes handed to the system, of all replies."""
        self.blocked = threading.Event()
        """Set once the peer takes no more bytes and the reply cannot go on."""
        self.arrived = threading.Semaphore(0)
        self._closed: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._scripts = {"": list(script), **{name: list(replies) for name, replies in (scripts or {}).items()}}
        self._played: dict[str, int] = {}
        self._tls = tls
        self._greeting = greeting
        self._host = host
        self._send_buffer = send_buffer
        self._tunnel = tunnel
        self._joined = joined
        self.port = 0

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def count(self, name: str = "") -> int:
        """Requests that this script has answered."""
        return self._played.get(name, 0)

    def wait_closed(self, timeout: float = 5.0) -> float:
        """Wait for the next connection that ends; the `time.monotonic()` at which it did."""
        return self._closed.get(timeout=timeout)

    def wait_request(self, timeout: float = 5.0) -> None:
        """Wait until one more request has arrived whole."""
        if not self.arrived.acquire(timeout=timeout):
            raise TimeoutError("no request came")

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="fault-server", daemon=True)
        self._thread.start()
        if not ready.wait(5):
            raise RuntimeError("the fault server did not start")
        return self

    def __exit__(self, *args: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda loop, context: None)
        try:
            self._loop.run_until_complete(self._serve(ready))
        finally:
            self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        listener = socket.create_server(
            (self._host, 0), family=socket.AF_INET6 if ":" in self._host else socket.AF_INET, backlog=512
        )
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio sets it on its own sockets only
        if self._send_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        self.port = listener.getsockname()[1]
        server = await asyncio.start_server(self._accept, sock=listener, ssl=self._tls, limit=64 * 1024 * 1024)
        ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # One whose TLS has not begun yet has no task, and is known to the loop alone.
        for transport in list(cast("Any", self._loop)._transports.values()):
            transport.abort()
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            if self._greeting:
                writer.write(self._greeting)
                await writer.drain()
            await self._talk(reader, writer, self.connections)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._closed.put(time.monotonic())
            self._tasks.discard(task)
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        early = b""
        while True:
            head = (early + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            early = b""
            method, target, _ = head[0].split(" ", 2)
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            reply = self._next(target) if self._tunnel is None else None
            if reply is not None and reply.early:
                cast("asyncio.Transport", writer.transport).pause_reading()
                self.requests.append(Received(method, target, headers, b"", connection))
                self.arrived.release()
                await self._send(reply, writer)
                if not reply.close:
                    await asyncio.Event().wait()
                return
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.requests.append(Received(method, target, headers, body, connection))
            self.arrived.release()
            if self._tunnel is not None and method == "CONNECT":
                await self._join(reader, writer, self._tunnel)
                return
            assert reply is not None
            # A reply that may never end is watched: what `read` gives is the end, or the next request's first byte.
            watch = asyncio.ensure_future(reader.read(1)) if _endless(reply) else None
            sending = asyncio.ensure_future(self._send(reply, writer))
            try:
                await asyncio.wait({sending, *({watch} if watch else ())}, return_when=asyncio.FIRST_COMPLETED)
                if watch is not None and watch.done():
                    early = watch.result()
                    if not early:
                        return
                if not await sending:
                    return
            finally:
                for task in (sending, watch):
                    if task is not None and not task.done():
                        task.cancel()
                        await asyncio.gather(task, return_exceptions=True)
            if watch is not None and not watch.cancelled():
                early = watch.result()
                if not early:
                    return

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        other, other_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(self._joined)

        async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                to.write(data)
                await to.drain()

        try:
            copies = [asyncio.ensure_future(copy(reader, other_writer)), asyncio.ensure_future(copy(other, writer))]
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            for task in copies:
                task.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
        finally:
            other_writer.transport.abort()

    def _next(self, target: str) -> Reply:
        name = target.lstrip("/").partition("/")[0]
        name = name if name in self._scripts else ""
        played = self._played.get(name, 0)
        self._played[name] = played + 1
        script = self._scripts[name]
        return script[min(played, len(script) - 1)]

    async def _send(self, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays."""
        if reply.hang == "headers":
            await asyncio.Event().wait()
        if reply.reset == "headers":
            return self._reset(writer)
        await self._write(writer, reply.raw if reply.raw is not None else head(reply))
        stop = next((mark for mark in (reply.hang, reply.reset) if isinstance(mark, int)), None)
        body = reply.body if stop is None else reply.body[:stop]
        size = reply.piece or len(body) or 1
        for start in range(0, len(body), size):
            if start and reply.every:
                await asyncio.sleep(reply.every)
            await self._body(reply, writer, body[start : start + size])
        if stop is not None:
            if reply.hang is not None:
                await asyncio.Event().wait()
            return self._reset(writer)
        while reply.forever is not None:
            await asyncio.sleep(reply.every)
            await self._body(reply, writer, reply.forever)
        if reply.framing == "chunked":
            await self._write(writer, b"0\r\n\r\n")
        return reply.framing in {"length", "chunked"} and not reply.close

    async def _body(self, reply: Reply, writer: asyncio.StreamWriter, data: bytes) -> None:
        await self._write(writer, b"%x\r\n%b\r\n" % (len(data), data) if reply.framing == "chunked" else data)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        self.sent += len(data)
        drain = asyncio.ensure_future(writer.drain())
        try:
            done, _ = await asyncio.wait({drain}, timeout=0.3)
            if not done:
                self.blocked.set()
            await drain
        finally:
            drain.cancel()

    @staticmethod
    def _reset(writer: asyncio.StreamWriter) -> bool:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        writer.transport.abort()
        return False


def _endless(reply: Reply) -> bool:
    return reply.hang is not None or reply.forever is not None or reply.piece is not None or len(reply.body) > 65_536


def head(reply: Reply) -> bytes:
    """The status line and headers of a reply, for a `raw` that says something before or after them."""
    lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{name}: {value}" for name, value in reply.headers.items())]
    if reply.framing == "length":
        lines.append(f"content-length: {len(reply.body) if reply.length is None else reply.length}")
    elif reply.framing == "chunked":
        lines.append("transfer-encoding: chunked")
    elif reply.framing == "close":
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
