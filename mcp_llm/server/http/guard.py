"""Which hosts and origins may speak to a port: every route is behind it, before anything is read or answered.

A web page can make its visitor's browser call loopback (DNS rebinding, CVE-2025-66416), but it cannot forge Host and
Origin. This file knows nothing of MCP and nothing of who calls: pages of our own stand behind it as the server does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .replies import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
"""The names of this machine for itself, with any port: no page from elsewhere has such a host."""
_HOST: Final = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::(\d{1,5}))?")
_ORIGIN: Final = re.compile(r"(https?)://(.{1,300})")
_PORTS: Final = {"http": "80", "https": "443"}
_SEEN: Final = 100


class Guard:
    """ASGI middleware. Loopback names are always allowed; `hosts` are more, `name` for any port or `name:port`.

    An Origin has to be the host that is asked, or one of `origins` (`https://app.example.com`); none at all is fine,
    since only browsers send it. A wrong host is answered 421, a wrong origin 403.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = {name.lower().rstrip(".") for name in (*LOOPBACK, *hosts)}
        self._seen: set[str] = set()
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may come in; answer the rest."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        hosts: list[bytes] = []
        origins: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origins.append(value)
        host = hosts[0].decode("latin-1") if len(hosts) == 1 else ""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif not self.host(host):
            shown = f"the host {host[:100]!r}" if host else "a request without one Host header"
            await refuse(send, 421, f"this server does not answer to {shown}; `--allow-host NAME` adds a name")
        elif origins and not (len(origins) == 1 and self.origin(origins[0].decode("latin-1"), host)):
            await refuse(send, 403, "pages of this origin may not call here; `--allow-origin URL` lets one in")
        else:
            await self._app(scope, receive, send)

    def host(self, host: str) -> bool:
        """Whether a Host header's value is allowed."""
        if host in self._seen:
            return True
        found = _HOST.fullmatch(host.lower())
        if found is None:
            return False
        name = found[1].rstrip(".")
        ports = (found[2],) if found[2] else _PORTS.values()
        allowed = name in self._hosts or any(f"{name}:{port}" in self._hosts for port in ports)
        if allowed and len(self._seen) < _SEEN:
            self._seen.add(host)
        return allowed

    def origin(self, origin: str, host: str) -> bool:
        """Whether an Origin header's value may call what was asked as `host`."""
        lower = origin.lower()
        found = _ORIGIN.fullmatch(lower)
        if found is None:  # `null`, too: a sandboxed frame, a file
            return False
        scheme, place = found[1], found[2]
        if lower in self._origins:
            return True
        # Behind a proxy that ends TLS the scheme differs; the host that the browser shows does not.
        port = _PORTS[scheme]
        return place.removesuffix(f":{port}") == host.lower().removesuffix(f":{port}")
