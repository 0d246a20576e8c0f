"""One line on stderr for each request: when, what, who, how it ended, how long. No query, no header, no argument."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHOWN: Final = 60
"""Characters of a name that came from outside."""
EVERY: Final = 0.1
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then note; 499 stands for a client that went before the answer."""
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
            names = scope.get("method", "-"), scope.get("path", "-"), said.get("rpc") or "-", said.get("principal", "-")
            took = (time.monotonic() - started) * 1000
            if len(self._lines) < KEPT:
                self._lines.append(f"{now}Z {' '.join(map(plain, names))} {status} {took:.0f}ms\n")
                self._some.set()

    async def run(self) -> None:
        """Write for ever; what is left when this is cancelled is written last."""
        try:
            while True:
                await self._some.wait()
                self._some = anyio.Event()
                await anyio.to_thread.run_sync(_write, self._take(), abandon_on_cancel=True)
                await anyio.sleep(EVERY)
        finally:
            with anyio.move_on_after(0.5, shield=True):
                await anyio.to_thread.run_sync(_write, self._take(), abandon_on_cancel=True)

    def _take(self) -> str:
        lines, self._lines = self._lines, []
        return "".join(lines)


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody is there to read it
        return


def plain(words: str) -> str:
    """As one printable word of ASCII: nothing from outside can begin a line of its own or steer a terminal."""
    if len(words) <= SHOWN and words.isascii() and words.isprintable() and " " not in words:
        return words
    shown = words[:SHOWN].encode("ascii", "backslashreplace").decode()
    return "".join(char if "!" <= char <= "~" else f"\\x{ord(char):02x}" for char in shown)
