"""Opens the socket of one connection, straight or through a proxy, and says who speaks HTTP over it.

Through a proxy what is secret goes by a tunnel that the proxy only carries (RFC 9110, 9.3.6); what is not is asked of
the proxy itself, with the whole URL.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import anyio

from mcp_llm.errors import Disconnected, Garbled, ProviderError

from .connection_errors import unreachable
from .direct import READ, Direct
from .incoming import Cut, Incoming, Malformed
from .sockets import Lost, connect

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from .deadlines import Clock
    from .sockets import Socket


class Dialer:
    """Opens the socket of one connection and keeps it at hand."""

    def __init__(self, clock: Clock, proxy: str | None, tls: Callable[[], ssl.SSLContext]) -> None:
        self.clock = clock
        self.socket: Socket | None = None
        self._proxy = urlsplit(proxy) if proxy is not None else None
        self._tls = tls

    def connection(self, scheme: str, host: str, port: int, authority: bytes) -> Direct:
        """A connection to this origin, through the proxy if there is one; it is opened by its first request."""
        if scheme == "https":
            return Direct(self._open if self._proxy is None else self._tunnel, host, port, self._tls)
        if self._proxy is None:
            return Direct(self._open, host, port, None)
        return Direct(self._to_proxy, host, port, None, prefix=b"http://" + authority, lines=self._credentials())

    async def _open(self, host: str, port: int) -> Socket:
        try:
            with anyio.move_on_after(self.clock.connecting()):
                self.socket = await connect(host, port, self.clock)
                return self.socket
        except (OSError, UnicodeError) as exc:
            error = unreachable(exc, host, port=port)
            if self._proxy is not None and isinstance(error, ProviderError):
                error.message = f"the way is through a proxy, and {error.message}"
            raise error from exc
        raise self.clock.late(connecting=True)

    async def _to_proxy(self, host: str, port: int) -> Socket:
        assert self._proxy is not None
        secure, name = self._proxy.scheme == "https", self._proxy.hostname or ""
        socket = await self._open(name, self._proxy.port or (443 if secure else 80))
        return await socket.start_tls(self._tls(), name) if secure else socket

    async def _tunnel(self, host: str, port: int) -> Socket:
        """A way to that place that the proxy has made. Raises Disconnected, which names the proxy, where it has not."""
        socket = await self._to_proxy(host, port)
        place = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode()
        await socket.send(b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (place, place, self._credentials()))
        answer = Incoming()
        try:
            with anyio.move_on_after(self.clock.connecting()) as scope:
                while not answer.head:
                    if not (data := await socket.read(READ)):
                        raise Cut
                    answer.feed(data)
        except (Cut, Lost) as exc:
            why = f"the proxy closed the connection instead of making one to {host}"
            raise Disconnected(why, code="connect") from exc
        except Malformed as exc:
            raise Garbled("the proxy did not answer in valid HTTP") from exc
        if scope.cancelled_caught:
            raise self.clock.late(connecting=True)
        if not 200 <= (status := answer.status) < 300:
            fix = ": its user and password belong into HTTPS_PROXY" if status == 407 else ""
            why = f"the proxy refused the connection to {host} (HTTP {status}){fix}"
            raise Disconnected(why, code="connect", retry=status >= 500)
        if answer.body() or socket.unread:
            raise Garbled("the proxy sent more than the answer to what it was asked")
        socket.begin(self.clock)
        return socket

    def _credentials(self) -> bytes:
        """The header that tells the proxy who asks."""
        proxy = self._proxy
        if proxy is None or not proxy.username:
            return b""
        words = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
        return b"proxy-authorization: Basic %b\r\n" % b64encode(words)
