"""HttpRequest -> bytes of the reply: the door to all that speaks HTTP. No retries, no JSON of replies, no providers.

Below it no redirects, cookies, netrc or logging have to be switched off: there are none. Import it only where a call is
really made: it loads the HTTP stack (`Deadlines` alone is in `deadlines.py`).
"""

from __future__ import annotations

import logging
import re
import time
from email.utils import formatdate
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlencode, urlsplit

import anyio
import anyio.lowlevel

from mcp_llm.errors import ConfigError, Error, Garbled, InvalidInput, ProviderError, TooLarge

from . import multipart
from .connection_errors import Redirected, broken, unreachable
from .deadlines import MIB, Caps, Clock, Deadlines
from .direct import Outgoing
from .incoming import Cut, Malformed
from .inflate import Inflater
from .json_bytes import encode
from .origins import Link, Origin
from .proxies import Proxies
from .sockets import Lost

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator, Mapping
    from types import TracebackType

    from mcp_llm.wires.base import HttpRequest

    from .direct import Response

__all__ = ["Caps", "Deadlines", "Exchange", "Transport"]

DRAIN_SECONDS = 0.25
WORDS = 64 * 1024
WORDS_SECONDS = 5.0

ORIGINS: Final = 64
"""Origins whose connections are kept; what is fetched for users comes from ever new ones."""
BASES: Final = 256
"""Base URLs that are remembered as parsed."""

_TARGET: Final = re.compile(r"/[!-~]*")


class Transport:
    """All connections of a process, for one event loop. Close it with `aclose()` or use it as a context manager."""

    def __init__(
        self,
        *,
        caps: Caps | None = None,
        ca_file: str | None = None,
        http_proxy: str | None = None,
        https_proxy: str | None = None,
        no_proxy: str | None = None,
        user_agent: str = "mcp-llm",
    ) -> None:
        self._caps = caps or Caps()
        self._ca_file = ca_file
        self._proxies = Proxies(http_proxy, https_proxy, no_proxy or "")
        self._defaults = {"user-agent": user_agent, "accept": "*/*", "accept-encoding": "identity"}
        self._origins: dict[tuple[str, str, int], Origin] = {}
        self._bases: dict[str, tuple[Origin, str, str]] = {}
        for name in ("httpcore2", "httpx2"):  # at DEBUG and INFO they write URLs and headers
            logging.getLogger(name).setLevel(logging.WARNING)

    def stream(
        self, base_url: str, request: HttpRequest, headers: Mapping[str, str], deadlines: Deadlines | None = None
    ) -> Exchange:
        """Send on `async with`. Raises InvalidInput for what is no HTTP; Timeout, Disconnected, Garbled on entering."""
        base = self._bases.get(base_url)
        if base is None:
            base = self._base(base_url)
            if len(self._bases) >= BASES:
                self._bases.clear()
            self._bases[base_url] = base
        origin, prefix, query = base
        target = f"{prefix}{request.path}" if request.path.startswith("/") else f"{prefix}/{request.path}"
        if request.query or query:
            words = "&".join(part for part in (query, urlencode(request.query)) if part)
            target += f"{'&' if '?' in target else '?'}{words}"
        if not _TARGET.fullmatch(target):
            raise InvalidInput("the model's name or the base URL holds characters that no URL path may have")
        body, kind = None if request.json is None else encode(request.json), {"content-type": "application/json"}
        if request.form is not None:
            body, kind["content-type"] = multipart.encode(request.form)
        if body is None:
            kind = {}
        given = {**self._defaults, **kind, **_lower(headers), **_lower(request.headers)}
        message = Outgoing(request.method, target.encode(), origin.encoded(given), body or b"")
        return Exchange(origin, message, deadlines or Deadlines(), self._caps, once=request.once)

    @property
    def agent(self) -> str:
        """What we call ourselves."""
        return self._defaults["user-agent"]

    def way(self, scheme: str, host: str, port: int) -> str | None:
        """The proxy to that place; None for a direct connection."""
        return self._proxies.choose(scheme, host, port)

    async def aclose(self) -> None:
        """Close the resting connections; exchanges under way are their callers' to close."""
        for origin in self._origins.values():
            origin.close()
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()  # one turn of the loop, in which the sockets are really closed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.aclose()

    def _base(self, base_url: str) -> tuple[Origin, str, str]:
        try:
            parts = urlsplit(base_url)
            scheme, host = parts.scheme.lower(), parts.hostname or ""
            port = parts.port or (443 if scheme == "https" else 80)
            host = host if host.isascii() else host.encode("idna").decode()
        except ValueError:
            raise InvalidInput("the base URL is no http(s) URL: its host or port cannot be read") from None
        if scheme not in {"http", "https"} or not host:
            raise InvalidInput("the base URL is no http(s) URL")
        if "@" in parts.netloc:
            raise InvalidInput("the base URL holds a user or password; put the key into its variable instead")
        if not re.fullmatch(r"[A-Za-z0-9._:%-]+", host):
            raise InvalidInput("the host name in the base URL holds characters that no host name has")
        key = (scheme, host, port)
        origin = self._origins.get(key)
        if origin is None:
            if len(self._origins) >= ORIGINS:
                self._forget(min(self._origins, key=lambda one: self._origins[one].used))
            proxy = self._proxies.choose(scheme, host, port)
            origin = self._origins[key] = Origin(scheme, host, port, proxy, lambda: self.tls)
        return origin, parts.path.rstrip("/"), parts.query

    def _forget(self, key: tuple[str, str, int]) -> None:
        """Exchanges under way with it end as they would, and then their connections."""
        gone = self._origins.pop(key)
        gone.close()
        self._bases = {url: base for url, base in self._bases.items() if base[0] is not gone}

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """The one context of all connections: the system's authorities and `ca_file`; no variable changes that."""
        from httpx2 import create_ssl_context

        context = create_ssl_context(trust_env=False)
        if self._ca_file:
            try:
                context.load_verify_locations(self._ca_file)
            except (OSError, ValueError):
                raise ConfigError("`ca_file` cannot be read as a file of PEM certificates") from None
        return context


class Exchange:
    """One request and its reply, `async with transport.stream(...) as exchange`. Left early, its socket is closed.

    `status`, `headers` (lower-case names; an error's have a `date`, ours if the server sent none), `sent_at`
    (`time.monotonic()`), `first_byte_s` (seconds from there to the first byte of the body, None before it).
    """

    status: int
    headers: dict[str, str]

    def __init__(
        self,
        origin: Origin,
        request: Outgoing,
        deadlines: Deadlines,
        caps: Caps,
        *,
        once: bool = False,
    ) -> None:
        self.sent_at = 0.0
        self.first_byte_s: float | None = None
        self._origin = origin
        self._request = request
        self._deadlines = deadlines
        self._caps = caps
        self._once = once
        self._link: Link | None = None
        self._raw: AsyncIterator[bytes] | None = None
        self._inflater: Inflater | None = None
        self._strange = False
        self._pieces: Iterator[bytes] | None = None
        self._cap = caps.stream
        self._size = 0
        self._run = 0

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def open(self) -> Self:
        """Send the request and read the head of the reply; whoever calls this by hand has to `close` it by hand."""
        self._clock = clock = Clock(self._deadlines)
        self.sent_at = clock.started
        try:
            response = await self._send(fresh=self._once)
        except _Stale:
            response = await self._send(fresh=True)
        self.status = response.status
        self.headers = headers = response.headers
        if self.status >= 400 and "date" not in headers:
            headers["date"] = formatdate(usegmt=True)
        try:
            self._check()
        except Error:
            self.close()
            raise
        self._raw = response.stream
        return self

    def chunks(self, cap: int | None = None) -> AsyncIterator[bytes]:
        """The decoded body as it arrives. Raises Timeout, Disconnected, Garbled; TooLarge over the (stream's) cap."""
        self._limit(self._caps.stream if cap is None else cap)
        return self

    async def body(self, cap: int | None = None) -> bytes:
        """The whole decoded body. Raises as `chunks` does; TooLarge over the cap, the body's where none is given."""
        self._limit(self._caps.body if cap is None else cap)
        return b"".join([data async for data in self])

    async def words(self) -> bytes:
        """What the body of an error says: at most 64 KiB, and what of them comes in five seconds. Its status is known,
        so that nothing which happens to the rest may hide it; never raises.
        """
        self._cap = self._caps.body
        self._clock.ends = min(self._clock.ends, time.monotonic() + WORDS_SECONDS)
        found = b""
        try:
            while len(found) < WORDS and not self._strange:
                found += await anext(self)
        except (StopAsyncIteration, ProviderError, TooLarge):
            pass
        return found[:WORDS]

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Read on to the end for a moment after the decoder is done, so that the connection can be used again."""
        self._clock.ends = min(self._clock.ends, time.monotonic() + seconds)
        try:
            async for _ in self:
                pass
        except (ProviderError, TooLarge):
            pass  # then it is closed, as it would have been

    def heard(self) -> None:
        """What came was data: `deadlines.data` runs from here. Only for readers that tell it from pings."""
        self._clock.heard(time.monotonic())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self._run += 1
        if self._run % 64 == 0:  # inflating, or chunks of a byte, never wait by themselves: others get their turn
            await anyio.lowlevel.checkpoint()
        while True:
            if self._pieces is not None:
                for piece in self._pieces:
                    return self._count(piece)
                self._pieces = None
            if self._raw is None:
                raise StopAsyncIteration
            try:
                data = await anext(self._raw)
            except StopAsyncIteration:
                self._raw = None
                self._finish()
                if self._inflater is None:
                    raise
                self._pieces = self._inflater.close()
                continue
            except Error:
                raise
            except Exception as exc:
                raise _explain(exc, self._origin.name, begun=True) from exc
            if self.first_byte_s is None:
                self.first_byte_s = time.monotonic() - self.sent_at
                self._clock.answered()
            if self._inflater is None:
                return self._count(data)
            self._pieces = self._inflater.feed(data)

    async def _send(self, *, fresh: bool) -> Response:
        self._link = link = self._origin.take(self._clock, fresh=fresh)
        try:
            response = await link.connection.ask(self._request, self._clock)
        except BaseException as exc:
            self._link = None
            link.abort()
            if not isinstance(exc, Exception):
                raise
            if link.used and link.socket is not None and not link.socket.received and isinstance(exc, _CLOSED):
                raise _Stale from exc
            error = _explain(exc, self._origin.name, begun=False)
            raise error from (None if isinstance(error, InvalidInput) else exc)
        if link.socket is not None:
            link.socket.in_head = False
        return response

    def _check(self) -> None:
        headers = self.headers
        if 300 <= self.status < 400:
            raise Redirected(self._origin.name, headers, self.status)
        if self.status < 200:
            raise Garbled(f"{self._origin.name} answered with HTTP {self.status}, which is no reply")
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding in {"gzip", "x-gzip", "deflate"}:
            self._inflater = Inflater(coding)
        elif coding not in {"", "identity"}:
            self._strange = True
            if self.status < 400:
                raise Garbled(f"the reply is encoded as {coding[:40]!r}, which was not asked for", status=self.status)

    def _limit(self, cap: int) -> None:
        self._cap = cap
        length = self.headers.get("content-length", "")
        if length.isdigit() and self._inflater is None and int(length[:20]) > cap:
            raise self._too_large()

    def _count(self, data: bytes) -> bytes:
        self._size += len(data)
        if self._size > self._cap:
            raise self._too_large()
        return data

    def _too_large(self) -> TooLarge:
        cap = f"{self._cap // MIB} MiB" if self._cap >= MIB else f"{self._cap} bytes"
        return TooLarge(f"{self._origin.name} sent a reply over the cap of {cap}; the request was stopped")

    def _finish(self) -> None:
        """The body was read to its end: the connection goes back."""
        link, self._link = self._link, None
        if link is not None:
            self._origin.give(link)

    def close(self) -> None:
        """What was not read to its end is closed at once, before anything is awaited: the task may be cancelled."""
        link, self._link = self._link, None
        if link is not None:
            link.abort()
        self._raw = None


_CLOSED: Final = (Lost, Cut)


class _Stale(Exception):
    """The server had closed the resting connection; not a byte of a reply came."""


def _explain(exc: Exception, host: str, *, begun: bool) -> Error:
    """Our error for whatever the connection layer raised."""
    match exc:
        case Error():
            return exc
        case UnicodeError():
            return InvalidInput("the request cannot be written as HTTP: a header or the path is malformed")
        case Malformed():
            return Garbled(f"{host} did not answer in valid HTTP ({exc})")
        case Lost() | Cut():
            return broken(exc, host, begun=begun)
    return unreachable(exc, host)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
