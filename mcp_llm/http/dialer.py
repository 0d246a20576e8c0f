"""Opens the socket of one connection, straight or through a proxy, and says who speaks HTTP over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote, urlsplit

import anyio
import httpcore2

from mcp_llm.errors import ProviderError

from .connection_errors import unreachable
from .direct import Direct
from .sockets import connect

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from .deadlines import Clock
    from .sockets import Socket

Connection: TypeAlias = httpcore2.AsyncConnectionInterface | Direct


class Dialer(httpcore2.AsyncNetworkBackend):
    """Opens the socket of one connection and keeps it at hand."""

    def __init__(self, clock: Clock, proxy: str | None, tls: Callable[[], ssl.SSLContext]) -> None:
        self.clock = clock
        self.socket: Socket | None = None
        self._proxy = proxy
        self._tls = tls

    def connection(self, scheme: bytes, host: bytes, port: int | None) -> Connection:
        """A connection to this origin, through the proxy if there is one; it is opened by its first request."""
        secure = scheme == b"https"
        port = port or (443 if secure else 80)
        if self._proxy is None:
            return Direct(self.connect_tcp, host.decode(), port, self._tls if secure else None)
        parts = urlsplit(self._proxy)
        proxy = httpcore2.Proxy(
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            auth=(unquote(parts.username), unquote(parts.password or "")) if parts.username else None,
            ssl_context=self._tls() if parts.scheme == "https" else None,
        )
        pool = httpcore2.AsyncConnectionPool(
            ssl_context=self._tls() if secure else None, proxy=proxy, network_backend=self
        )
        return pool.create_connection(httpcore2.Origin(scheme, host, port))

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Socket:
        try:
            with anyio.move_on_after(self.clock.connecting()):
                self.socket = await connect(host, port, self.clock)
                return self.socket
        except (OSError, UnicodeError) as exc:
            error = unreachable(exc, host, port=port)
            if self._proxy and isinstance(error, ProviderError):
                error.message = f"the way is through a proxy, and {error.message}"
            raise error from exc
        raise self.clock.late(connecting=True)
