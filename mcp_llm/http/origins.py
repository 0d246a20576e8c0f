"""The connections to one origin: taken for an exchange, given back after it, resting in between.

httpcore2's own pool looks at every connection for every request, which at 256 calls costs more than the calls; and it
would not say whether a connection had been used before, which decides whether a request may be sent again.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import InvalidInput

from .dialer import Dialer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from .deadlines import Clock
    from .direct import Direct
    from .sockets import Socket

KEEP: Final = 20
"""Resting connections per origin."""
KEEP_SECONDS: Final = 120.0
"""The libraries' usual 5 s would reconnect for nearly every call of an interactive client."""

_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Lower-case names of headers that frame a request; a second one would be read in two ways."""
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Link:
    """A connection and its socket; `used` once it has served an exchange."""

    __slots__ = ("connection", "dialer", "used")

    def __init__(self, connection: Direct, dialer: Dialer) -> None:
        self.connection = connection
        self.dialer = dialer
        self.used = False

    @property
    def socket(self) -> Socket | None:
        """None before it is connected."""
        return self.dialer.socket

    def abort(self) -> None:
        """Close at once."""
        if self.dialer.socket is not None:
            self.dialer.socket.abort()


class Origin:
    """Connections, most recently used first. There is no upper limit: long streams never wait for each other."""

    def __init__(self, scheme: str, host: str, port: int, proxy: str | None, tls: Callable[[], ssl.SSLContext]) -> None:
        self.name = host
        usual = port == (443 if scheme == "https" else 80)
        place = f"[{host}]" if ":" in host else host
        self.used = time.monotonic()
        """When a connection was taken last."""
        self.authority = (place if usual else f"{place}:{port}").encode()
        self._scheme = scheme
        self._port = port
        self._tls = tls
        self._proxy = proxy
        self._idle: list[Link] = []
        self._closed = False
        self._known: tuple[dict[str, str], bytes] = ({}, b"")

    def encoded(self, headers: dict[str, str]) -> bytes:
        """`host` and these headers, checked, as they are sent.

        Those of the last call are kept: the next ones are mostly the same.
        """
        known, lines = self._known
        if not lines or headers != known:
            fields = [(b"host", self.authority)]
            for name, value in headers.items():
                if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or value != value.strip():
                    raise InvalidInput(f"the header {name[:40]!r} holds characters HTTP forbids; is the key right?")
                if name in _OURS:
                    raise InvalidInput(f"the header {name!r} is written by the connection itself: leave it out")
                fields.append((name.encode(), value.encode("latin-1")))
            lines = b"".join(b"%b: %b\r\n" % field for field in fields)
            self._known = (headers, lines)
        return lines

    def take(self, clock: Clock, *, fresh: bool) -> Link:
        """A connection of this exchange's own."""
        self.used = clock.started
        while self._idle and not fresh:
            link = self._idle.pop()
            if link.socket is not None and link.socket.fresh:
                link.socket.begin(clock)
                return link
            link.abort()
        dialer = Dialer(clock, self._proxy, self._tls)
        return Link(dialer.connection(self._scheme, self.name, self._port, self.authority), dialer)

    def give(self, link: Link) -> None:
        """Take back a connection whose exchange ended cleanly."""
        if len(self._idle) >= KEEP:
            self._idle = [other for other in self._idle if other.socket is not None and other.socket.fresh]
        room = len(self._idle) < KEEP and not self._closed
        if room and link.connection.renew() and link.socket is not None and link.socket.fresh:
            link.used = True
            link.socket.rest(KEEP_SECONDS)
            self._idle.append(link)
        else:
            link.abort()

    def close(self) -> None:
        """Close what rests, and from now on whatever is given back."""
        self._closed = True
        for link in self._idle:
            link.abort()
        self._idle.clear()
