"""HTTP/1.1 over one of our sockets: sends a request and hands out the reply, for one task and one exchange at a time.

Ways through a proxy stay httpcore2's; its own connection guards with locks, traces and generators against uses that an
`Exchange` does not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .incoming import Cut, Incoming

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from .deadlines import Clock
    from .sockets import Socket

READ: Final = 64 * 1024
PIECE: Final = 256 * 1024
"""Bytes that are read, and written, at once."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, checked: `fields` are its headers with their lower-case names, `lines` the same as they are sent."""

    method: str
    target: bytes
    fields: Sequence[tuple[bytes, bytes]]
    lines: bytes
    body: bytes


@dataclass(slots=True)
class Response:
    """A response whose body is still to be read; header names are lower case."""

    status: int
    headers: dict[str, str]
    stream: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
    """The exchange is over: the body was read to its end, or will not be."""


class Direct:
    """One connection, opened by its first request. Raises our errors, Malformed and Cut."""

    def __init__(
        self,
        connect: Callable[[str, int], Awaitable[Socket]],
        host: str,
        port: int,
        tls: Callable[[], ssl.SSLContext] | None,
    ) -> None:
        self._open = connect
        self._socket: Socket | None = None
        self._host = host
        self._port = port
        self._tls = tls
        self._incoming = Incoming()
        self._idle = False

    async def ask(self, request: Outgoing, clock: Clock) -> Response:
        """Send the request and wait for the head of the answer."""
        self._idle = False
        socket = self._socket or await self._connect()
        answered = await self._send(socket, request)
        clock.sent()
        incoming = self._incoming
        while not answered:
            incoming.feed(await self._read(socket))
            answered = incoming.head()
        return Response(incoming.status, incoming.headers, self, self._done)

    def is_idle(self) -> bool:
        """Whether the last exchange ended so that another one can follow."""
        return self._idle

    def __aiter__(self) -> Direct:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes of the body."""
        incoming = self._incoming
        while not (data := incoming.body()):
            if incoming.done:
                raise StopAsyncIteration
            assert self._socket is not None
            if more := await self._socket.read(READ):
                incoming.feed(more)
            else:
                incoming.end()
        return data

    async def _done(self) -> None:
        incoming = self._incoming
        # Bytes after the end of a reply would be taken for the next one's.
        if incoming.done and incoming.lasting and not incoming.unread:
            self._idle = True
        elif self._socket is not None:
            self._socket.abort()

    async def _connect(self) -> Socket:
        context = self._tls() if self._tls is not None else None
        socket = self._socket = await self._open(self._host, self._port)
        if context is not None:
            context.set_alpn_protocols(["http/1.1"])
            await socket.start_tls(context, self._host)
        return socket

    async def _send(self, socket: Socket, request: Outgoing) -> bool:
        """Whether the server has answered before it had all of it: then no more is sent, and nothing after it."""
        # Where the server has closed already, its answer says why: it is read all the same.
        body, length = request.body, b""
        if body or request.method == "POST":
            length = b"content-length: %d\r\n" % len(body)
        await socket.send(
            b"%b %b HTTP/1.1\r\n%b%b\r\n" % (request.method.encode(), request.target, request.lines, length)
        )
        for start in range(0, len(body), PIECE):
            await socket.send(body[start : start + PIECE])
            while socket.unread:
                self._incoming.feed(await self._read(socket))
                if self._incoming.head():
                    self._incoming.lasting = False
                    return True
        return False

    @staticmethod
    async def _read(socket: Socket) -> bytes:
        if not (data := await socket.read(READ)):
            raise Cut
        return data
