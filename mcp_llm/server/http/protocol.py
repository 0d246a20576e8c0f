"""Connections as uvicorn serves them, with the limits it lacks: on silence, on those who do not read, on their number.

uvicorn alone waits for ever for a request's head (0 of 1,000 half-open connections closed in 12 s) and for a client
that does not read. Its parser is llhttp (httptools), as for the replies of providers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HEAD_SECONDS: Final = 15.0
"""From the first byte (or the opening of the connection) to the end of a request's head."""
BODY_SECONDS: Final = 30.0
"""From there to the end of its body: a byte a second is no client."""
STALLED_SECONDS: Final = 30.0
"""For a client that has stopped reading to take what waits for it: about 64 KiB."""
MOST: Final = 4096
"""Connections of this process; one more is told so and closed."""
HEAD_BYTES: Final = 64 * 1024
"""Of a request's head, which the parser itself does not bound."""
FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n"
LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Joined:
    """A connection's transport that sends the head of an answer with its body, where the head says that there is one.

    uvicorn writes them one after the other: two system calls, of which the other side wakes up twice.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Write now, unless it is such a head; what follows it comes in the same breath: nothing, after a HEAD."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and b"\r\ncontent-length: " in data and data.endswith(b"\r\n\r\n"):
            self._head = data
            return
        self._transport.write(data)

    def close(self) -> None:
        """Write what waits, then close."""
        self.write(b"")
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def protocol(
    *,
    most: int = MOST,
    head_seconds: float = HEAD_SECONDS,
    body_seconds: float = BODY_SECONDS,
    stalled_seconds: float = STALLED_SECONDS,
) -> type[Any]:
    """The class that uvicorn makes one of for each connection."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Limited(HttpToolsProtocol):
        """One connection."""

        def __init__(self, config: Config, *args: Any, **kwargs: Any) -> None:
            super().__init__(config, *args, **kwargs)
            self._late: Any = None
            self._body = False
            self._head_bytes = 0
            self._stall: Any = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(cast("Any", Joined(transport)))
            if len(self.connections) > most:
                self.connections.discard(self)
                transport.write(FULL)
                transport.close()
            else:
                self._expect(head_seconds)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            cycle: RequestResponseCycle | None = self.cycle  # None at first, whatever its annotation says
            if cycle is None or cycle.response_complete:
                self._begin(len(data))
            elif not cycle.more_body:
                self._in_time()
            elif not self._body:
                self._in_time()
                self._body = True
                self._expect(body_seconds)

        def on_header(self, name: bytes, value: bytes) -> None:
            # Blanks around a value are not part of it (RFC 9110, 5.5); the parser leaves those behind it.
            super().on_header(name, value.rstrip(b" \t"))

        def _expect(self, seconds: float) -> None:
            """What comes next has so long to be whole."""
            self._late = self.loop.call_later(seconds, self.transport.abort)

        def _in_time(self) -> None:
            self._head_bytes, self._body = 0, False
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _begin(self, size: int) -> None:
            """A head that is not whole yet."""
            if self._late is None:
                self._expect(head_seconds)
            self._head_bytes += size
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(LONG)
                self.transport.close()

        def on_response_complete(self) -> None:
            self.transport.write(b"")  # a head that no body followed: a HEAD's, which says how long it would be
            super().on_response_complete()
            self._in_time()  # from here uvicorn's own timer runs, until the next byte

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stall = self.loop.call_later(stalled_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._stall is not None:
                self._stall.cancel()
                self._stall = None

        def timeout_keep_alive_handler(self) -> None:
            if self.transport.get_write_buffer_size():
                self.transport.abort()
            else:
                super().timeout_keep_alive_handler()

        def connection_lost(self, exc: Exception | None) -> None:
            self._in_time()
            if self._stall is not None:
                self._stall.cancel()
            super().connection_lost(exc)

    return Limited
