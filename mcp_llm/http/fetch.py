"""Fetches what a public https URL holds: media that a provider has made, models of a hub. Never with a provider's key.

Redirects are followed, three at most; every hop has to be https and to lead to public addresses only (security.md T9).
The name is looked up once more when the connection is made; that its certificate has to fit keeps an address that
changed in between from being one of ours.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urljoin, urlsplit

import anyio

from mcp_llm.catalog.address import is_public
from mcp_llm.errors import Denied, Disconnected, InvalidInput, NotFound
from mcp_llm.wires.base import HttpRequest
from mcp_llm.wires.failures import failure

from .connection_errors import Redirected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .deadlines import Deadlines
    from .transport import Exchange, Transport

HOPS: Final = 3


class NoMore(InvalidInput):
    """The range asked for begins at the end of the file or behind it; `total` is its length, where that is said."""

    def __init__(self, host: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"{host} has no more of this file than is here")
        self.headers = headers
        total = headers.get("content-range", "").rpartition("/")[2]
        self.total = int(total) if re.fullmatch(r"[0-9]{1,18}", total) else None


@dataclass(frozen=True, slots=True)
class Fetched:
    """`status` 200, or 206 for a part; `headers` of the last reply, and the `x-` ones of the hops before it."""

    status: int
    headers: dict[str, str]
    size: int


async def fetch(
    transport: Transport,
    url: str,
    begin: Callable[[int, Mapping[str, str]], Callable[[bytes], object]],
    *,
    most: int,
    headers: Mapping[str, str] | None = None,
    trusted: str | None = None,
    trusted_headers: Mapping[str, str] | None = None,
    deadlines: Deadlines | None = None,
) -> Fetched:
    """GET it. `begin(status, headers)` is called once it is there, and what that gives gets the bytes as they come.

    `most` caps the bytes. `trusted` is an origin of the user's own settings (`https://host[:port]`): it may be any
    host, and only it gets `trusted_headers`. Raises Denied for a URL that may not be fetched, TooLarge, and the errors
    of the transport.
    """
    passed: dict[str, str] = {}
    for _ in range(HOPS + 1):
        origin, rest = _split(url)
        own = trusted is not None and origin == _split(trusted)[0]
        if not own:
            await _check(origin)
        given = {**(headers or {}), **((trusted_headers or {}) if own else {})}
        request = HttpRequest("GET", rest, headers=given)
        try:
            async with transport.stream(origin, request, {}, deadlines) as exchange:
                met = {**passed, **exchange.headers}
                if exchange.status >= 400:
                    raise await _refused(exchange, origin, met)
                take, size = begin(exchange.status, met), 0
                async for piece in exchange.chunks(most):
                    size += len(piece)
                    take(piece)
                return Fetched(exchange.status, met, size)
        except Redirected as moved:
            if not moved.location:
                raise
            # What else a hop says is of its own body: its length, its tag.
            passed |= {name: value for name, value in moved.headers.items() if name.startswith("x-")}
            try:
                url = urljoin(f"{origin}{rest}", _encoded(moved.location))
            except ValueError:
                raise Denied(f"{urlsplit(origin).hostname} redirects to what is no URL") from None
    raise Disconnected(f"{urlsplit(url).hostname} redirects more than {HOPS} times", retry=False)


async def whole(
    transport: Transport, url: str, *, most: int, trusted: str | None = None, deadlines: Deadlines | None = None
) -> tuple[bytes, str | None]:
    """(bytes, MIME type as the server names it) of a URL, in memory."""
    pieces: list[bytes] = []
    got = await fetch(
        transport, url, lambda _status, _headers: pieces.append, most=most, trusted=trusted, deadlines=deadlines
    )
    mime = got.headers.get("content-type", "").partition(";")[0].strip().lower()
    return b"".join(pieces), mime or None


def _encoded(location: str) -> str:
    """As it has to be written: some servers leave blanks and UTF-8 in it, and everybody's client puts up with that."""
    return quote(location.encode("latin-1"), safe="%/:?#[]@!$&'()*+,;=~|")


def _split(url: str) -> tuple[str, str]:
    """(origin, path with query) of an http(s) URL. Raises Denied for any other."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Denied("the URL cannot be read: its host or port is malformed") from None
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc:
        raise Denied("only https URLs without a user or password in them are fetched")
    name = f"[{host}]" if ":" in host else host
    path = parts.path if parts.path.startswith("/") else f"/{parts.path}"
    origin = f"{parts.scheme}://{name}" + (f":{port}" if port is not None else "")
    return origin, path + (f"?{parts.query}" if parts.query else "")


async def _check(origin: str) -> None:
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if parts.scheme != "https":
        raise Denied(f"{host[:253]} is not fetched from: only https is")
    try:
        found = await anyio.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise Disconnected(f"the name {host[:253]} cannot be resolved; check it and the network") from exc
    for *_, address in found:
        if not is_public(ipaddress.ip_address(str(address[0]).partition("%")[0])):
            raise Denied(f"{host[:253]} is not fetched from: it is no public address")


async def _refused(exchange: Exchange, origin: str, met: dict[str, str]) -> Exception:
    host = urlsplit(origin).hostname or origin
    if exchange.status in {404, 410}:
        return NotFound(f"{host} has no such file", status=exchange.status)
    if exchange.status == 416:
        return NoMore(host, met)
    return failure(exchange.status, exchange.headers, await exchange.words())
