"""HTTP/1.1 over one of our sockets, spoken by h11: what httpcore2's own connection does, for one task and no tracing.

A whole exchange costs 0.74 of the CPU of one over httpcore2's connection (0.36 against 0.49 ms), whose locks, traces
and generators guard against uses that an `Exchange` does not have. Ways through a proxy stay httpcore2's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import h11

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from .sockets import Socket

READ: Final = 64 * 1024
HEAD: Final = 100 * 1024
"""Bytes that one unfinished line or header may have."""
INTERIM: Final = 16
"""Replies 1xx that may come before the one asked for; they mean nothing to us."""


@dataclass(slots=True)
class Response:
    """A response whose body is still to be read."""

    status: int
    headers: list[tuple[bytes, bytes]]
    stream: AsyncGenerator[bytes]
    connection: Direct

    async def aclose(self) -> None:
        """The exchange is over."""
        self.connection.done()


class Direct:
    """One connection, opened by its first request, for one exchange at a time. Raises our errors and h11's."""

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
        self._http = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=HEAD)
        self._idle = False

    async def handle_async_request(self, request: Any) -> Response:
        """Send httpcore2's request and wait for the head of the answer."""
        self._idle = False
        if self._socket is None:
            await self._connect()
        await self._send(request)
        for _ in range(INTERIM + 1):
            event = await self._next()
            if type(event) is h11.Response or event.status_code == 101:
                return Response(event.status_code, list(event.headers), self._body(), self)
        raise h11.RemoteProtocolError(f"more than {INTERIM} interim replies")

    def is_idle(self) -> bool:
        """Whether the last exchange ended so that another one can follow."""
        return self._idle

    def done(self) -> None:
        """The exchange is over; unless it was whole, so is the connection."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._idle = True
        elif self._socket is not None:
            self._socket.abort()

    async def _connect(self) -> None:
        context = self._tls() if self._tls is not None else None
        socket = self._socket = await self._open(self._host, self._port)
        if context is not None:
            context.set_alpn_protocols(["http/1.1"])
            await socket.start_tls(context, self._host)

    async def _send(self, request: Any) -> None:
        socket, http = self._socket, self._http
        assert socket is not None
        head = http.send(h11.Request(method=request.method, target=request.url.target, headers=request.headers))
        # Where the server has closed already, its answer says why: it is read all the same.
        await socket.send(head or b"")
        async for piece in request.stream:
            await socket.send(http.send(h11.Data(data=piece)) or b"")
        http.send(h11.EndOfMessage())

    async def _body(self) -> AsyncGenerator[bytes]:
        while type(event := await self._next()) is h11.Data:
            yield bytes(event.data)

    async def _next(self) -> Any:
        """h11's next event."""
        socket, http = self._socket, self._http
        assert socket is not None
        while (event := http.next_event()) is h11.NEED_DATA:
            data = await socket.read(READ)
            if not data and http.their_state is h11.SEND_RESPONSE:
                raise h11.RemoteProtocolError("Server disconnected without sending a response.")
            http.receive_data(data)
        return event
