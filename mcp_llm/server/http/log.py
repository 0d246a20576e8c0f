"""One line on stderr for each request: when, what, who, how it ended, how long. No query, no header, no argument."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHOWN: Final = 60
"""Characters of a name that came from outside."""


class AccessLog:
    """ASGI middleware. What is behind it may put `rpc` and `principal` into `scope["mcp_llm.said"]`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then write; 499 stands for a client that went before the answer."""
        started = time.monotonic()
        said: dict[str, Any] = {}
        scope["mcp_llm.said"] = said
        status = 499

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
            words = (
                scope.get("method", "-"),
                scope.get("path", "-"),
                said.get("rpc") or "-",
                said.get("principal", "-"),
            )
            took = (time.monotonic() - started) * 1000
            sys.stderr.write(f"{now}Z {' '.join(map(plain, words))} {status} {took:.0f}ms\n")


def plain(words: str) -> str:
    """As one printable word of ASCII: nothing from outside can begin a line of its own or steer a terminal."""
    shown = words[:SHOWN].encode("ascii", "backslashreplace").decode()
    return "".join(char if "!" <= char <= "~" else f"\\x{ord(char):02x}" for char in shown)
