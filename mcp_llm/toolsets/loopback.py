"""The person of a shell: sent to a page with their browser, heard on a loopback address that lives as long as it takes.

It answers one path, reads no more than a request's head, and believes nothing: what does not bring the state that was
sent is not heard at all, so no page and no program of this machine can end the wait. The SDK compares the issuer.
"""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager, suppress
from hmac import compare_digest
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.to_thread
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp.shared.auth import AuthorizationCodeResult

from mcp_llm.catalog.address import is_loopback
from mcp_llm.errors import InvalidInput, ToolFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import SocketStream

PATH: Final = "/callback"
WAIT_SECONDS: Final = 300.0
HEAD_SECONDS: Final = 10.0
MOST_HEAD: Final = 16 * 1024
_ODD: Final = (
    *(anyio.DelimiterNotFound, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.EndOfStream),
    ValueError,  # of `urlsplit`, for a path such as `//[`
)
PAGE: Final = "<!doctype html><meta charset=utf-8><title>mcp-llm</title><p>{words} You can close this page."


class Shell:
    """`tell` shows the URL to the person; `browse` opens it, and says whether it could."""

    def __init__(self, port: int, tell: Callable[[str], None], browse: Callable[[str], bool]) -> None:
        self.redirect = f"http://127.0.0.1:{port}{PATH}"
        self._tell, self._browse = tell, browse
        self._heard = anyio.Event()
        self._query: dict[str, str] = {}
        self._state: str | None = None

    async def show(self, url: str) -> None:
        """Send them to the page. Raises ToolFailed for one that no browser should be sent to."""
        parts = urlsplit(url)
        plain = parts.scheme == "http" and is_loopback(parts.hostname)
        if parts.scheme != "https" and not plain:
            raise ToolFailed("the page to sign in at is no https URL")
        self._state = parse_qs(parts.query).get("state", [""])[0]
        self._tell(url)
        await anyio.to_thread.run_sync(self._browse, url)

    async def answer(self) -> AuthorizationCodeResult:
        """What they came back with. Raises ToolFailed when they refused, or did not come."""
        with anyio.move_on_after(WAIT_SECONDS):
            await self._heard.wait()
        if not self._heard.is_set():
            raise ToolFailed(f"nobody came back from the browser within {WAIT_SECONDS:.0f} s")
        if "error" in self._query:
            # What it says is not repeated: nothing shows that it comes from the server that was asked (RFC 9207).
            raise ToolFailed("the browser came back with a no: it was refused there, or that server could not do it")
        return AuthorizationCodeResult(
            code=self._query.get("code", ""), state=self._query.get("state"), iss=self._query.get("iss")
        )

    async def hear(self, stream: SocketStream) -> None:
        """One connection of a browser, or of whoever comes; what goes wrong with it ends it alone."""
        async with stream:
            with anyio.move_on_after(HEAD_SECONDS), suppress(*_ODD):
                head = await BufferedByteReceiveStream(stream).receive_until(b"\r\n\r\n", MOST_HEAD)
                method, _, rest = head.split(b"\r\n")[0].decode("latin-1").partition(" ")
                parts = urlsplit(rest.partition(" ")[0])
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                ours = method == "GET" and parts.path == PATH and bool(query.keys() & {"code", "error"})
                # A refusal brings the state as well (RFC 6749, 4.1.2.1).
                ours = ours and compare_digest(query.get("state", "").encode(), (self._state or "").encode())
                ours = ours and self._state is not None
                if ours and not self._heard.is_set():
                    self._query = query
                    self._heard.set()
                words = "Nothing is here." if not ours else "That was no." if "error" in query else "You are signed in."
                await _send(stream, "200 OK" if ours else "404 Not Found", PAGE.format(words=words))


@asynccontextmanager
async def shell(port: int | None, tell: Callable[[str], None], browse: Callable[[str], bool]) -> AsyncIterator[Shell]:
    """A person at a loopback port of their own. Raises InvalidInput when a port that was asked for is taken."""
    try:
        listener = await anyio.create_tcp_listener(
            local_host="127.0.0.1", local_port=port or 0, family=socket.AddressFamily.AF_INET
        )
    except OSError:
        raise InvalidInput(f"port {port} is taken: `redirect_port` has to be free while you sign in") from None
    async with listener:
        bound: int = listener.extra(anyio.abc.SocketAttribute.local_port)
        person = Shell(bound, tell, browse)
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, person.hear)
            try:
                yield person
            except Exception as error:  # raised below, outside the task group, which would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure


async def _send(stream: SocketStream, status: str, page: str) -> None:
    body = page.encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    await stream.send(head.encode() + body)
