"""Replies that are too large, packed or slow to be read: their cost has an end."""

from __future__ import annotations

import gzip
import zlib

import pytest
from faults.exchanges import ASK, HEADERS, ask, asked, failing, in_thread, skim, stalls
from faults.memory import needs_linux, peak_since
from faults.replies import MIB, bomb
from faults.server import FaultServer, Reply

from mcp_llm.errors import (
    Garbled,
    TooLarge,
)
from mcp_llm.http.transport import Caps, Deadlines, Transport

pytestmark = pytest.mark.anyio


# F7, T25: sizes and bombs


ZIPPED = {"content-encoding": "gzip"}


@needs_linux
@pytest.mark.parametrize("name", ["bomb", "endless body", "endless stream", "bomb in a stream"])
async def test_no_reply_costs_more_memory_than_its_cap(transport: Transport, name: str) -> None:
    deadlines = Deadlines(total=20)
    if name.startswith("bomb"):
        reply = Reply(headers=ZIPPED, body=bomb(500))
    else:
        reply = Reply(framing="chunked", forever=bytes(MIB))
    with FaultServer([reply]) as server:
        before = peak_since(mark=True)
        async with stalls() as stall, transport.stream(server.url, ASK, HEADERS, deadlines) as exchange:
            with pytest.raises(TooLarge) as caught:
                await (skim(exchange) if name.endswith("stream") else exchange.body())
        grown = peak_since() - before
        await in_thread(server.wait_closed)
    print(f"{name}: {grown:.1f} MiB more, longest stall {stall[0] * 1000:.0f} ms")
    assert stall[0] <= 0.25
    assert str(caught.value) == "127.0.0.1 sent a reply over the cap of 32 MiB; the request was stopped"
    assert grown <= 64


async def test_a_length_over_the_cap_is_refused_before_a_byte_is_read(transport: Transport) -> None:
    with FaultServer([Reply(length=10_995_116_277_760, body=b"x", hang=1)]) as server:
        assert isinstance(await failing(transport, server.url), TooLarge)


async def test_the_caps_are_exact() -> None:
    async with Transport(caps=Caps(body=10, stream=20)) as transport:
        for size in (10, 11, 20, 21):
            with FaultServer([Reply(body=b"x" * size, framing="chunked")]) as server:
                for whole, cap in ((True, 10), (False, 20)):
                    async with asked(transport, server.url) as exchange:
                        if size > cap:
                            with pytest.raises(TooLarge, match=f"cap of {cap} bytes"):
                                await exchange.body() if whole else [data async for data in exchange.chunks()]
                        elif whole:
                            assert len(await exchange.body()) == size
                        else:
                            assert sum([len(data) async for data in exchange.chunks()]) == size


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"plain" * 50_000)),
        ("x-gzip", gzip.compress(b"plain" * 25_000) + gzip.compress(b"plain" * 25_000) + bytes(7)),
        ("deflate", zlib.compress(b"plain" * 50_000)),
        ("Deflate", zlib.compress(b"plain" * 50_000, wbits=-15)),
        ("identity", b"plain" * 50_000),
    ],
)
async def test_compressed_replies_that_nobody_asked_for_are_read(
    transport: Transport, coding: str, body: bytes
) -> None:
    for piece in (None, len(body) // 20):
        reply = Reply(headers={"content-encoding": coding}, body=body, framing="chunked", piece=piece)
        with FaultServer([reply]) as server:
            assert await ask(transport, server.url) == b"plain" * 50_000


@pytest.mark.parametrize(
    ("coding", "body", "words"),
    [
        ("br", b"x", "encoded as 'br', which was not asked for"),
        ("gzip, gzip", b"x", "encoded as 'gzip, gzip'"),
        ("gzip", b"no gzip at all", "damaged"),
        ("gzip", gzip.compress(b"plain" * 5000)[:-9], "end too early"),
    ],
)
async def test_other_codings_and_damaged_data_are_garbled(
    transport: Transport, coding: str, body: bytes, words: str
) -> None:
    with FaultServer([Reply(headers={"content-encoding": coding}, body=body)]) as server:
        error = await failing(transport, server.url)
    assert isinstance(error, Garbled)
    assert words in str(error)


async def test_a_consumer_that_stops_reading_stops_the_server(transport: Transport) -> None:
    with FaultServer([Reply(framing="chunked", forever=bytes(16 * 1024))], send_buffer=32 * 1024) as server:
        async with asked(transport, server.url) as exchange:
            first = await anext(aiter(exchange.chunks()))
            await in_thread(server.blocked.wait, 5)
            assert server.blocked.is_set()
            assert exchange._link is not None
            assert exchange._link.socket is not None
            held = exchange._link.socket.unread
        print(f"after {len(first)} bytes were read: {held / 1024:.0f} KiB held here, {server.sent / MIB:.1f} MiB sent")
    assert held <= MIB
