"""HTTP/1.1 over one of our sockets, spoken by h11: what httpcore2's own connection does, for one task and no tracing.

A whole exchange over it costs 0.6 of the CPU of one over httpcore2's (0.29 against 0.49 ms), whose locks, traces and
generators guard against uses that an `Exchange` does not have. Ways through a proxy stay httpcore2's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import h11
import httpcore2

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterable, Callable

    from .sockets import Dialer

READ: Final = 64 * 1024
HEAD: Final = 100 * 1024
"""Bytes that one unfinished line or header may have."""


class Direct(httpcore2.AsyncConnectionInterface):
    """One connection; opened by its first request, used by one exchange at a time. Raises httpcore2's errors."""

    def __init__(self, dialer: Dialer, host: str, port: int, tls: Callable[[], ssl.SSLContext] | None) -> None:
        self._dialer = dialer
        self._host = host
        self._port = port
        self._tls = tls
        self._http = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=HEAD)
        self._idle = False

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """Send it; the response's `stream` is the body."""
        self._idle = False
        if self._dialer.socket is None:
            await self._connect()
        try:
            await self._send(request)
        except httpcore2.WriteError:
            pass  # a server may refuse what it has not read to its end: its answer says why
        while True:
            event = await self._next()
            if isinstance(event, h11.Response) or (
                isinstance(event, h11.InformationalResponse) and event.status_code == 101
            ):
                break
        response = httpcore2.Response(event.status_code, content=_Body(self))
        response.headers = list(event.headers)  # bytes already: not to be checked once more
        return response

    async def body(self) -> AsyncGenerator[bytes]:
        """The body of the response that has begun."""
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                return

    async def done(self) -> None:
        """The exchange is over: whole, and the connection is good for another one, or not, and it is closed."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._idle = True
        else:
            await self.aclose()

    def is_idle(self) -> bool:
        return self._idle

    async def aclose(self) -> None:
        if self._dialer.socket is not None:
            self._dialer.socket.abort()

    async def _connect(self) -> None:
        socket = await self._dialer.connect_tcp(self._host, self._port)
        if self._tls is not None:
            context = self._tls()
            context.set_alpn_protocols(["http/1.1"])
            await socket.start_tls(context, self._host)

    async def _send(self, request: httpcore2.Request) -> None:
        socket, http = self._dialer.socket, self._http
        assert socket is not None
        try:
            head = http.send(h11.Request(method=request.method, target=request.url.target, headers=request.headers))
            await socket.write(head or b"")
            async for piece in cast("AsyncIterable[bytes]", request.stream):
                await socket.write(http.send(h11.Data(data=piece)) or b"")
            http.send(h11.EndOfMessage())
        except h11.LocalProtocolError as exc:
            raise httpcore2.LocalProtocolError(str(exc)) from exc

    async def _next(self) -> Any:
        socket, http = self._dialer.socket, self._http
        assert socket is not None
        while True:
            try:
                event = http.next_event()
            except h11.RemoteProtocolError as exc:
                raise httpcore2.RemoteProtocolError(str(exc)) from exc
            if event is not h11.NEED_DATA:
                return event
            data = await socket.read(READ)
            if not data and http.their_state is h11.SEND_RESPONSE:
                raise httpcore2.RemoteProtocolError("Server disconnected without sending a response.")
            http.receive_data(data)


class _Body:
    """What httpcore2 asks of a response's stream."""

    def __init__(self, connection: Direct) -> None:
        self._connection = connection

    def __aiter__(self) -> AsyncGenerator[bytes]:
        return self._connection.body()

    async def aclose(self) -> None:
        await self._connection.done()
