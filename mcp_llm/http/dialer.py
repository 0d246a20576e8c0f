"""Opens the socket of one connection, straight or through a proxy, and says who speaks HTTP over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import unquote, urlsplit

import anyio
import httpcore2

from mcp_llm.errors import ProviderError

from .connection_errors import unreachable
from .direct import PIECE, Direct, Outgoing, Response, joined
from .sockets import connect

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable

    from .deadlines import Clock
    from .sockets import Socket


class Proxied:
    """A connection of httpcore2's through a proxy, asked as a `Direct` one is. Raises our errors and httpcore2's."""

    def __init__(self, pool: httpcore2.AsyncConnectionPool, scheme: bytes, host: bytes, port: int | None) -> None:
        self._scheme = scheme
        self._host = host
        self._port = port
        origin = httpcore2.Origin(scheme, host, port or (443 if scheme == b"https" else 80))
        self._connection = pool.create_connection(origin)

    async def ask(self, request: Outgoing, clock: Clock) -> Response:
        """Send the request and wait for the head of the answer."""
        body = request.body

        async def content() -> AsyncGenerator[bytes]:
            for start in range(0, len(body), PIECE):
                yield body[start : start + PIECE]
            clock.sent()

        url = httpcore2.URL(scheme=self._scheme, host=self._host, port=self._port, target=request.target)
        response = await self._connection.handle_async_request(
            httpcore2.Request(request.method, url, headers=request.headers, content=content())
        )
        stream = aiter(cast("AsyncIterable[bytes]", response.stream))
        return Response(response.status, joined(response.headers), stream, response.aclose)

    def is_idle(self) -> bool:
        """Whether the last exchange ended so that another one can follow."""
        return self._connection.is_idle()


Connection: TypeAlias = Proxied | Direct


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
        if self._proxy is None:
            port = port or (443 if secure else 80)
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
        return Proxied(pool, scheme, host, port)

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
