"""HTTP/1.1 over one of our sockets, spoken by h11: for one task and one exchange at a time.

httpcore2's connection guards with locks, traces and generators against uses that an `Exchange` does not have, which
costs a third of the CPU of a whole exchange (0.49 against 0.36 ms).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import h11

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from .deadlines import Clock
    from .sockets import Socket

READ: Final = 64 * 1024
PIECE: Final = 256 * 1024
"""Bytes that are read, and written, at once."""
HEAD: Final = 100 * 1024
"""Bytes that one unfinished line or header may have."""
INTERIM: Final = 16
"""Replies 1xx that may come before the one asked for; they mean nothing to us."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request; its `fields` are headers with lower-case names, checked, without the length of the body."""

    method: str
    target: bytes
    fields: Sequence[tuple[bytes, bytes]]
    body: bytes

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """All of them, as they are sent."""
        if self.body or self.method == "POST":
            return [*self.fields, (b"content-length", b"%d" % len(self.body))]
        return [*self.fields]


@dataclass(slots=True)
class Response:
    """A response whose body is still to be read; header names are lower case."""

    status: int
    headers: dict[str, str]
    stream: AsyncIterator[bytes]


def joined(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name, several values joined by commas."""
    headers: dict[str, str] = {}
    for key, value in fields:
        name, text = key.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


class Direct:
    """One connection, opened by its first request. Raises our errors, h11's and Lost.

    `prefix` is put before every target, `fields` are added to every request's own.
    """

    def __init__(
        self,
        connect: Callable[[str, int], Awaitable[Socket]],
        host: str,
        port: int,
        tls: Callable[[], ssl.SSLContext] | None,
        *,
        prefix: bytes = b"",
        fields: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self._open = connect
        self._socket: Socket | None = None
        self._host = host
        self._port = port
        self._tls = tls
        self._prefix = prefix
        self._fields = fields
        self._http = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=HEAD)
        self._interim = 0

    async def ask(self, request: Outgoing, clock: Clock) -> Response:
        """Send the request and wait for the head of the answer."""
        self._interim = 0
        socket = self._socket or await self._connect()
        head = await self._send(socket, request)
        clock.sent()
        while head is None:
            await self._read(socket)
            head = self._head()
        return Response(head.status_code, joined(list(head.headers)), self)

    def renew(self) -> bool:
        """Make ready for another request; whether the last exchange ended so that one can follow."""
        http = self._http
        # Bytes after the end of a reply would be taken for the next one's.
        whole = http.our_state is h11.DONE and http.their_state is h11.DONE and not http.trailing_data[0]
        if whole:
            http.start_next_cycle()
        return whole

    def __aiter__(self) -> Direct:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes of the body."""
        socket, http = self._socket, self._http
        assert socket is not None
        while (event := http.next_event()) is h11.NEED_DATA:
            http.receive_data(await socket.read(READ))
        if type(event) is h11.Data:
            return bytes(event.data)
        raise StopAsyncIteration

    async def _connect(self) -> Socket:
        context = self._tls() if self._tls is not None else None
        socket = self._socket = await self._open(self._host, self._port)
        if context is not None:
            context.set_alpn_protocols(["http/1.1"])
            await socket.start_tls(context, self._host)
        return socket

    async def _send(self, socket: Socket, request: Outgoing) -> Any:
        """The head of an answer that comes before the server had all of the request: then no more of it is sent."""
        # Where the server has closed already, its answer says why: it is read all the same.
        http, body = self._http, request.body
        target, fields = self._prefix + request.target, [*request.headers, *self._fields]
        head = h11.Request(method=request.method, target=target, headers=fields)
        await socket.send(http.send(head) or b"")
        for start in range(0, len(body), PIECE):
            await socket.send(http.send(h11.Data(data=body[start : start + PIECE])) or b"")
            while socket.unread:
                await self._read(socket)
                if (answer := self._head()) is not None:
                    return answer
        http.send(h11.EndOfMessage())
        return None

    async def _read(self, socket: Socket) -> None:
        if not (data := await socket.read(READ)) and self._http.their_state is h11.SEND_RESPONSE:
            raise h11.RemoteProtocolError("the server disconnected without an answer")
        self._http.receive_data(data)

    def _head(self) -> Any:
        """The head of the reply, None as long as it is not here; interim ones are passed over."""
        event: Any
        while (event := self._http.next_event()) is not h11.NEED_DATA:
            if type(event) is h11.Response:
                return event
            self._interim += 1
            if self._interim > INTERIM:
                raise h11.RemoteProtocolError(f"more than {INTERIM} interim replies")
        return None
