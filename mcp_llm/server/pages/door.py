"""Who may come in: this machine's own browser, with a token that no other page, program or user has.

A one-time code in the printed address is traded for the token, which the page sends as a header. There is no cookie, so
no other page, and no other server on this machine, can make the browser send it; and the address, which other users of
the machine may read in the list of processes, is worth nothing once it was used.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from starlette.types import ASGIApp, Receive, Scope, Send

API: Final = "/api/"
ENTER: Final = "/api/enter"
HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
NO_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
CLOSED: Final = "this page is not open: use the address that `mcp-llm ui` printed last, it works once"


@dataclass(slots=True)
class Keys:
    """One code at a time, one token for the life of the process. `told` is called with every new code."""

    told: Callable[[str], None]
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    code: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    def enter(self, code: object) -> str | None:
        """The token for the code, which is used up by that; None for any other."""
        if not isinstance(code, str) or not hmac.compare_digest(code.encode(errors="replace"), self.code.encode()):
            return None
        self.code = secrets.token_urlsafe(24)
        self.told(self.code)
        return self.token

    def fit(self, header: str) -> bool:
        """Whether an `Authorization` header holds the token."""
        return hmac.compare_digest(header.encode(), f"Bearer {self.token}".encode())


class Door:
    """Around the application: everything under /api/ needs the token, and what changes something comes as JSON."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refusal(scope, headers)
        app = self._app if refused is None else JSONResponse({"error": refused[1]}, refused[0])
        await app(scope, receive, _dressed(send))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        path = scope["path"]
        if scope["method"] == "POST" and headers.get("content-type", "").split(";")[0].strip() != "application/json":
            return 415, "send JSON (content-type: application/json)"
        if path.startswith(API) and path != ENTER and not self._keys.fit(headers.get("authorization", "")):
            return 401, CLOSED
        return None


def _dressed(send: Send) -> Send:
    """Every answer with the headers that keep it here."""

    async def dressed(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = list(message["headers"])
            names = {name.lower() for name, _ in given}
            wanted = {**HEADERS, "content-security-policy": NO_POLICY}
            given += [(name.encode(), value.encode()) for name, value in wanted.items() if name.encode() not in names]
            message = {**message, "headers": given}
        await send(message)

    return dressed
