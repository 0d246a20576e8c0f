"""HTTP/1.1 over one of our sockets: sends a request and hands out its reply, for one task and one exchange at a time.

httpcore2's connection guards with locks, traces and generators against uses that an `Exchange` does not have, which
costs a third of the CPU of a whole exchange (0.49 against 0.36 ms).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .incoming import Incoming

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from .deadlines import Clock
    from .sockets import Socket

READ: Final = 64 * 1024
PIECE: Final = 256 * 1024
"""Bytes that are read, and written, at once."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request; `lines` are its headers as they are sent, checked, without the length of the body."""

    method: str
    target: bytes
    lines: bytes
    body: bytes


@dataclass(slots=True)
class Response:
    """A response whose body is still to be read; header names are lower case."""

    status: int
    headers: dict[str, str]
    stream: AsyncIterator[bytes]


class Direct:
    """One connection, opened by its first request. Raises our errors, Malformed, Cut and Lost.

    `prefix` is put before every target, `lines` are headers that are added to every request's own.
    """

    def __init__(
        self,
        connect: Callable[[str, int], Awaitable[Socket]],
        host: str,
        port: int,
        tls: Callable[[], ssl.SSLContext] | None,
        *,
        prefix: bytes = b"",
        lines: bytes = b"",
    ) -> None:
        self._open = connect
        self._socket: Socket | None = None
        self._host = host
        self._port = port
        self._tls = tls
        self._prefix = prefix
        self._lines = lines
        self._incoming = Incoming()

    async def ask(self, request: Outgoing, clock: Clock) -> Response:
        """Send the request and wait for the head of the answer."""
        incoming = self._incoming
        incoming.begin()
        socket = self._socket or await self._connect()
        await self._send(socket, request)
        clock.sent()
        while not incoming.head:
            await self._read(socket)
        return Response(incoming.status, incoming.headers, self)

    def renew(self) -> bool:
        """Whether the last exchange ended so that another one can follow."""
        return self._incoming.done and self._incoming.lasting

    def __aiter__(self) -> Direct:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes of the body."""
        socket, incoming = self._socket, self._incoming
        assert socket is not None
        while not (data := incoming.body()):
            if incoming.done:
                raise StopAsyncIteration
            await self._read(socket)
        return data

    async def _connect(self) -> Socket:
        context = self._tls() if self._tls is not None else None
        socket = self._socket = await self._open(self._host, self._port)
        if context is not None:
            context.set_alpn_protocols(["http/1.1"])
            await socket.start_tls(context, self._host)
        return socket

    async def _send(self, socket: Socket, request: Outgoing) -> None:
        """All of it, unless the head of an answer comes before: then no more is sent, and nothing after it."""
        # Where the server has closed already, its answer says why: it is read all the same.
        incoming, body, length = self._incoming, request.body, b""
        if body or request.method == "POST":
            length = b"content-length: %d\r\n" % len(body)
        method, target = request.method.encode(), self._prefix + request.target
        await socket.send(b"%b %b HTTP/1.1\r\n%b%b%b\r\n" % (method, target, request.lines, length, self._lines))
        for start in range(0, len(body), PIECE):
            await socket.send(body[start : start + PIECE])
            while socket.unread:
                await self._read(socket)
                if incoming.head:
                    incoming.lasting = False
                    return

    async def _read(self, socket: Socket) -> None:
        if data := await socket.read(READ):
            self._incoming.feed(data)
        else:
            self._incoming.end()
