"""Opening a WebSocket where there is none: what the peer said instead, whose fault it is, and nothing of the key."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from canary import KEY
from faults.server import FaultServer, Reply

from mcp_llm.errors import AuthError, Disconnected, Error, InvalidInput, Overloaded
from mcp_llm.http.connection_errors import Redirected
from mcp_llm.http.transport import Deadlines, Transport
from mcp_llm.http.websocket import connect

server = pytest.importorskip("websockets.asyncio.server", reason="the extra `realtime` is not installed")
pytestmark = pytest.mark.anyio


async def refused(url: str, *, proxy: str | None = None) -> Error:
    """The error of a socket that does not open, which tells neither the key nor the query."""
    async with Transport(https_proxy=proxy) as transport:
        with pytest.raises(Error) as caught:
            async with connect(
                transport, f"{url}/talk?key=in-the-url", {"authorization": KEY}, Deadlines(connect=5), most=1000
            ):
                pass
    assert KEY not in str(caught.value)
    assert "in-the-url" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("reply", "kind", "words", "again"),
    [
        (
            Reply(302, headers={"location": "https://other.invalid/talk?key=in-the-url"}),
            Redirected,
            "HTTP 302: 127.0.0.1 redirects to 'other.invalid', which is never followed; correct the base URL",
            False,
        ),
        (
            Reply(200, body=b"hello"),
            Disconnected,
            "HTTP 200: 127.0.0.1 speaks no WebSocket here, but plain HTTP; check the base URL",
            False,
        ),
        (Reply(401, body=b'{"error": {"message": "no"}}'), AuthError, "HTTP 401: no", False),
        (Reply(503), Overloaded, "HTTP 503: no explanation was given", True),
    ],
)
async def test_what_is_said_in_the_place_of_a_socket(reply: Reply, kind: type[Error], words: str, again: bool) -> None:
    with FaultServer([reply]) as server:
        error = await refused(server.url)
    assert (type(error), str(error), getattr(error, "may_retry", None)) == (kind, words, again)


async def test_a_proxy_that_is_in_the_way_is_blamed_itself() -> None:
    error = await refused("https://api.provider.invalid", proxy="http://me:hunter2@127.0.0.1:1")
    assert isinstance(error, Disconnected)
    assert str(error) == "the way is through a proxy, and 127.0.0.1:1 refused the connection; nothing listens there"
    with FaultServer([Reply(407)]) as proxy:
        error = await refused("https://api.provider.invalid", proxy=f"http://me:hunter2@127.0.0.1:{proxy.port}")
    assert str(error) == (
        "the proxy made no connection to api.provider.invalid (proxy rejected connection: HTTP 407); check HTTPS_PROXY"
    )


async def test_a_host_that_is_not_there_is_told_without_a_handshake_that_never_was() -> None:
    error = await refused("https://127.0.0.1:1")
    assert str(error) == "127.0.0.1:1 refused the connection; nothing listens there"


async def test_a_frame_is_json_that_everybody_reads_or_is_not_sent() -> None:
    async def echo(socket: Any) -> None:
        async for words in socket:
            await socket.send(words)

    async with server.serve(echo, "127.0.0.1", 0) as listening, Transport() as transport:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        with anyio.fail_after(10):
            async with connect(transport, url, {}, Deadlines(), most=1000) as link:
                with pytest.raises(InvalidInput, match="the request is no JSON"):
                    await link.send({"x": float("nan")})
                await link.send({"x": "half \ud83d", "y": [1, None]})
                assert await link.receive() == {"x": "half \ufffd", "y": [1, None]}
