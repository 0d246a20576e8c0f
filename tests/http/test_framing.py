"""HTTP as servers misuse it: framing that is odd, contradictory, endless or early. What can be read is, and no reply is
ever taken for that of another request.
"""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from faults.replies import SSE, ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import Disconnected, Error, Garbled, Timeout
from mcp_llm.http.transport import Deadlines, Transport
from mcp_llm.wires.base import HttpRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

QUICK = Deadlines(connect=2, first_byte=2, idle=2, total=8)
BODY = ok("openai").body
SIZE = len(BODY)
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"content-length: %d\r\n" % SIZE
CHUNKED = OK + b"transfer-encoding: chunked\r\n"
CHUNK = b"%x\r\n%b\r\n" % (SIZE, BODY)


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as made:
        yield made


async def ask(transport: Transport, url: str, text: str = "hi", deadlines: Deadlines = QUICK) -> tuple[int, bytes]:
    with anyio.fail_after(20):
        async with transport.stream(url, HttpRequest("POST", "/chat", {"t": text}), {}, deadlines) as exchange:
            return exchange.status, await exchange.body()


async def ends(transport: Transport, url: str, kind: type[Error], words: str, *more: Any) -> None:
    """It ends with an error of that kind, which says that."""
    with pytest.raises(kind, match=re.escape(words)):
        await ask(transport, url, *more)


def raw(head: bytes, body: bytes = BODY, **more: Any) -> Reply:
    """A reply byte for byte."""
    return Reply(raw=head + b"\r\n" + body, **more)


ODD = {
    "trailers": raw(CHUNKED + b"trailer: x-sum\r\n", CHUNK + b"0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n"),
    "chunk extensions": raw(CHUNKED, b'%x;a=b;c="d;e"\r\n%b\r\n0;f\r\n\r\n' % (SIZE, BODY)),
    "chunks of a byte": raw(CHUNKED, b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"),
    "HTTP/1.0, ended by its end": raw(b"HTTP/1.0 200 OK\r\n", framing="close"),
    "HTTP/1.0, kept alive": raw(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n" + LENGTH),
    "no words for its status": raw(b"HTTP/1.1 200\r\n" + LENGTH),
    "lines that end in LF": Reply(raw=b"HTTP/1.1 200 OK\ncontent-length: %d\n\n" % SIZE + BODY),
    "a part of nothing": Reply(206, body=BODY),
    "rubbish behind gzip": Reply(headers={"content-encoding": "gzip"}, body=gzip.compress(BODY) + b"rubbish"),
    "two members of gzip": Reply(
        headers={"content-encoding": "gzip"}, body=gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])
    ),
}


@pytest.mark.parametrize("reply", ODD.values(), ids=ODD)
async def test_a_reply_that_is_only_odd_is_read(transport: Transport, reply: Reply) -> None:
    with FaultServer([reply]) as server:
        for _ in range(3):
            assert (await ask(transport, server.url))[1] == BODY
        assert len(server.requests) == 3


WRONG = {
    "a length beside chunks": (
        raw(CHUNKED + b"content-length: 3\r\n", CHUNK + b"0\r\n\r\n"),
        "Content-Length can't be",
    ),
    "two lengths": (raw(OK + LENGTH + b"content-length: 3\r\n"), "Duplicate Content-Length"),
    "the same length twice": (raw(OK + LENGTH * 2), "Duplicate Content-Length"),
    "a coding of the transfer": (raw(OK + b"transfer-encoding: gzip, chunked\r\n"), "a transfer coding that was not"),
    "a size that is none": (raw(CHUNKED, b"zz\r\n"), "Invalid character in chunk size"),
    "an endless extension": (raw(CHUNKED, b"5;", forever=b"x" * 9999, framing="none"), "bytes that are no body"),
    "endless trailers": (raw(CHUNKED, b"0\r\n", forever=b"x: y\r\n" * 999, framing="none"), "bytes that are no body"),
    "an endless line": (Reply(raw=b"HTTP/1.1 200 ", forever=b"O" * 9999, framing="none"), "too many bytes of headers"),
    "another protocol": (raw(b"ICY 200 OK\r\n", framing="close"), "Expected HTTP/"),
    "a switch of protocols": (raw(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n", b""), "HTTP 101, which is no reply"),
    "a header without a colon": (raw(OK + b"nonsense\r\n" + LENGTH), "Invalid header token"),
    "a bare CR in a header": (raw(OK + b"x: a\rb: c\r\n" + LENGTH), "Missing expected LF after header value"),
    "a folded header": (raw(OK + b"x-long: 1\r\n 2\r\n\t3\r\n" + LENGTH), "Unexpected whitespace after header value"),
    "plain bytes said to be gzip": (Reply(headers={"content-encoding": "gzip"}, body=BODY), "data are damaged"),
}


@pytest.mark.parametrize(("reply", "words"), WRONG.values(), ids=WRONG)
async def test_a_reply_that_contradicts_itself_is_garbled_and_its_connection_closed(
    transport: Transport, reply: Reply, words: str
) -> None:
    with FaultServer([reply]) as server:
        with pytest.raises(Garbled) as caught:
            await ask(transport, server.url)
        await anyio.to_thread.run_sync(server.wait_closed)
        assert len(server.requests) == 1
    assert words in str(caught.value)


async def test_a_chunk_that_promises_more_than_comes_is_cut(transport: Transport) -> None:
    with FaultServer([raw(CHUNKED, b"fffffffffffffff\r\n" + BODY, framing="none")]) as server:
        await ends(transport, server.url, Disconnected, "in the middle of the reply")


@pytest.mark.parametrize(
    "behind", [OK + b"content-length: 5\r\n\r\nother", b"rubbish", b"H", b"HTTP/1.1 100 Go\r\n\r\n"]
)
@pytest.mark.parametrize("head", [OK + LENGTH + b"\r\n" + BODY, CHUNKED + b"\r\n" + CHUNK + b"0\r\n\r\n"])
async def test_what_comes_behind_a_reply_is_never_the_reply_to_the_next_request(
    transport: Transport, head: bytes, behind: bytes
) -> None:
    """A gateway that answers twice would hand one caller's words to another; the connection is not used again."""
    with FaultServer([Reply(raw=head + behind), Reply(body=b"mine")]) as server:
        assert (await ask(transport, server.url))[1] == BODY
        assert (await ask(transport, server.url))[1] == b"mine"
        assert [request.connection for request in server.requests] == [1, 2]


async def test_a_reply_that_comes_before_it_was_asked_for_is_nobodys(transport: Transport) -> None:
    late = Reply(raw=OK + LENGTH + b"\r\n" + BODY, forever=OK + b"content-length: 5\r\n\r\nother", every=0.01)
    with FaultServer([late, Reply(body=b"mine")]) as server:
        assert (await ask(transport, server.url))[1] == BODY
        with anyio.fail_after(10):
            while server.open and server.sent < SIZE + 500:  # noqa: ASYNC110 - in another thread
                await anyio.sleep(0.01)
        assert (await ask(transport, server.url))[1] == b"mine"


@pytest.mark.parametrize("close", [False, True], ids=["and keeps the connection", "and closes it"])
@pytest.mark.parametrize("early", [b"", b"HTTP/1.1 102 Wait\r\n\r\n"])
async def test_an_answer_that_comes_before_all_was_sent_is_read_and_no_more_is_sent(
    transport: Transport, close: bool, early: bytes
) -> None:
    """As gateways do that refuse a large body: they say so and read no further."""
    body = b'{"error":{"message":"too large"}}'
    head = b"HTTP/1.1 413 Large\r\ncontent-length: %d\r\n\r\n" % len(body)
    with FaultServer([Reply(raw=early + head + body, early=True, close=close), Reply(body=b"ok")]) as server:
        with anyio.fail_after(20):
            try:
                status, said = await ask(transport, server.url, "x" * 30_000_000)
            except Disconnected:
                # A peer that closes on us may do so faster than its words come through; it never costs a deadline.
                assert close
            else:
                assert (status, said) == (413, body)
        assert (await ask(transport, server.url))[1] == b"ok"
        assert [request.connection for request in server.requests] == [1, 2]


async def test_an_interim_reply_does_not_end_the_sending(transport: Transport) -> None:
    with FaultServer([Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH + b"\r\n" + BODY)]) as server:
        assert (await ask(transport, server.url, "x" * 5_000_000))[1] == BODY
    assert len(server.requests[0].body) == 5_000_008


async def test_a_server_that_takes_no_more_of_a_request_ends_at_a_deadline(transport: Transport) -> None:
    deadlines = Deadlines(idle=0.3, first_byte=9, total=9)
    with FaultServer([Reply(raw=b"", early=True)]) as server:
        await ends(transport, server.url, Timeout, "within 0.3 s (idle deadline", "x" * 30_000_000, deadlines)


async def test_a_body_that_was_read_by_half_is_not_read_on_by_the_next(transport: Transport) -> None:
    with FaultServer([ok("openai", stream=True), Reply(body=b"mine")]) as server:
        async with transport.stream(server.url, HttpRequest("POST", "/chat", {}), {}, QUICK) as exchange:
            async for _ in exchange.chunks():
                break
        assert (await ask(transport, server.url))[1] == b"mine"


@pytest.mark.parametrize(
    "flood",
    [
        Reply(raw=CHUNKED + b"\r\n", forever=b"1\r\nx\r\n" * 10_000, framing="none"),
        Reply(headers=SSE, framing="chunked", forever=b"data:\n\n" * 10_000),
    ],
    ids=["chunks of a byte", "empty events"],
)
async def test_no_flood_of_small_things_keeps_the_loop_from_others(transport: Transport, flood: Reply) -> None:
    with FaultServer([flood]) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, transport, server.url)
            await anyio.to_thread.run_sync(server.wait_request)
            for _ in range(10):  # turns of the loop, which come before the deadline of the call does
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
