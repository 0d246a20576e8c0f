"""A WebSocket to a provider: JSON frames both ways, with deadlines and caps (extra `realtime`).

The library `websockets` speaks the protocol. Redirects are not followed, since the key would go along; proxies and
certificates are the transport's.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio

from mcp_llm.errors import ConfigError, Disconnected, Garbled, ProviderError, Timeout, TooLarge
from mcp_llm.wires.failures import failure
from mcp_llm.wires.reply import parse

from .connection_errors import Redirected, unreachable
from .json_bytes import encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mcp_llm.types.message import Json

    from .deadlines import Deadlines
    from .transport import Transport

EXTRA: Final = "pip install 'mcp-llm[realtime]'"
BEAT: Final = 20.0
"""Seconds between pings, and for their answer: silence is no sign of death in a conversation, a missing pong is."""
CLOSING: Final = 2.0


class Link:
    """An open socket."""

    def __init__(self, socket: Any, host: str, closed: type[Exception]) -> None:
        self._socket = socket
        self._host = host
        self._closed = closed

    async def send(self, frame: Json) -> None:
        """One frame. Raises Disconnected, and InvalidInput for NaN, infinities and what is no JSON."""
        words = encode(frame).decode()
        try:
            await self._socket.send(words)
        except self._closed as exc:
            raise self._lost(exc) from None

    async def receive(self) -> Json:
        """The next frame. Raises Disconnected, TooLarge, and Garbled for what is no JSON."""
        try:
            data = await self._socket.recv()
        except self._closed as exc:
            raise self._lost(exc) from None
        try:
            return parse(data if isinstance(data, bytes) else data.encode())
        except (ValueError, RecursionError):
            raise Garbled(f"{self._host} sent a frame that is no JSON") from None

    def _lost(self, exc: Any) -> ProviderError | TooLarge:
        frame = exc.rcvd or exc.sent
        if frame is not None and frame.code == 1009:
            return TooLarge(f"{self._host} sent a frame over the cap; the session was ended")
        why = f" ({frame.code}: {frame.reason[:200]})" if frame is not None and frame.reason else ""
        return Disconnected(f"{self._host} closed the session{why}", retry=False)


@asynccontextmanager
async def connect(
    transport: Transport, url: str, headers: Mapping[str, str], deadlines: Deadlines, *, most: int
) -> AsyncIterator[Link]:
    """A socket to a `http(s)://` or `ws(s)://` URL. Raises ConfigError without the extra, and what the reply says."""
    try:
        from websockets.asyncio import client
        from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, ProxyError
    except ImportError:
        raise ConfigError(f"conversations need the package websockets: {EXTRA}") from None

    class Dialer(client.connect):
        def process_redirect(self, exc: Exception) -> Exception | str:
            return exc

    parts = urlsplit(url)
    secure = parts.scheme in {"https", "wss"}
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    address = parts._replace(scheme="wss" if secure else "ws").geturl()
    way = transport.way("https" if secure else "http", host, port)
    dialer = Dialer(
        address,
        additional_headers=dict(headers),
        user_agent_header=transport.agent,
        ssl=transport.tls if secure else None,
        proxy=way,
        compression=None,
        open_timeout=None,
        ping_interval=BEAT,
        ping_timeout=BEAT,
        close_timeout=CLOSING,
        max_size=most,
    )
    try:
        with anyio.fail_after(deadlines.connect):
            socket = await dialer
    except TimeoutError:
        raise Timeout(f"{host} did not open the session within {deadlines.connect:g} s (connect deadline)") from None
    except InvalidStatus as exc:
        raise _refused(exc.response, host) from None
    except ProxyError as exc:
        raise Disconnected(f"the proxy made no connection to {host} ({exc}); check HTTPS_PROXY", retry=False) from None
    except InvalidHandshake as exc:
        raise Disconnected(f"{host} speaks no WebSocket here ({type(exc).__name__}); check the base URL") from None
    except (OSError, EOFError) as exc:
        if way is None:
            raise unreachable(exc, host, port=parts.port) from exc
        error = unreachable(exc, urlsplit(way).hostname or "", port=urlsplit(way).port)
        raise Disconnected(f"the way is through a proxy, and {error}") from exc
    try:
        yield Link(socket, host, ConnectionClosed)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSING + 1):
            await socket.close()


def _refused(reply: Any, host: str) -> ProviderError:
    """The error that a reply in the place of a socket stands for."""
    status, headers = reply.status_code, {name.lower(): value for name, value in reply.headers.raw_items()}
    if 300 <= status < 400:
        return Redirected(host, headers, status)
    if status < 400:
        why = f"{host} speaks no WebSocket here, but plain HTTP; check the base URL"
        return Disconnected(why, status=status, retry=False)
    return failure(status, headers, bytes(reply.body or b""))
