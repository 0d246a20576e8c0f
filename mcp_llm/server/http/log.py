"""One line on stderr for each request: when, what, who, how it ended, how long. No query, no header, no argument."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from mcp_llm.server.stderr import log

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHOWN: Final = 60
"""Characters of a name that came from outside."""
EVERY: Final = 0.1
LAST: Final = 0.4
"""Seconds, at most, that the end waits for somebody who reads."""
KEPT: Final = 10_000
"""Lines that wait for a stderr that nobody reads; more are lost, because the callers are not to wait for it."""


class AccessLog:
    """ASGI middleware. What is behind it may put `rpc` and `principal` into `scope["mcp_llm.said"]`.

    Lines are written by `run`, some at a time and by a thread.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lines: list[str] = []
        self._some = anyio.Event()
        self._until = math.inf
        self._second = 0
        self._begun = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then note; 499 stands for a client that went before the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
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
            if len(self._lines) < KEPT:
                names = scope["method"], scope["path"], said.get("rpc") or "-", said.get("principal", "-")
                took = (time.monotonic() - started) * 1000
                self._lines.append(f"{self._now()} {' '.join(map(plain, names))} {status} {took:.0f}ms\n")
                if len(self._lines) == 1:
                    self._some.set()

    def _now(self) -> str:
        now = time.time()
        if int(now) != self._second:
            self._second = int(now)
            self._begun = datetime.fromtimestamp(self._second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._begun}.{int(now % 1 * 1000):03d}Z"

    async def run(self) -> None:
        """Write for ever; what is left when this is cancelled is written last, if somebody reads."""
        try:
            while True:
                await self._some.wait()
                self._some = anyio.Event()
                await anyio.to_thread.run_sync(log, self._take(), self._stay, abandon_on_cancel=True)
                await anyio.sleep(EVERY)
        finally:
            self._until = time.monotonic() + LAST
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(log, self._take(), self._stay)

    def _stay(self) -> bool:
        return time.monotonic() < self._until

    def _take(self) -> str:
        lines, self._lines = self._lines, []
        return "".join(lines)


def plain(words: str) -> str:
    """As one printable word of ASCII: nothing from outside can begin a line of its own or steer a terminal."""
    return _plain(words[:SHOWN])


@lru_cache(maxsize=1000)
def _plain(words: str) -> str:
    if words.isascii() and words.isprintable() and " " not in words:
        return words
    shown = words.encode("ascii", "backslashreplace").decode()
    return "".join(char if "!" <= char <= "~" else f"\\x{ord(char):02x}" for char in shown)
