"""The way to a provider under every fault a network has, against a scripted server on loopback; figures are printed."""

from __future__ import annotations

import logging
import math
import socket
import time
from contextlib import ExitStack

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from canary import KEY
from faults.exchanges import ASK, HEADERS, ask, asked, failing, in_thread, stalls
from faults.replies import MIB, ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import (
    Disconnected,
    Error,
    Garbled,
    InvalidInput,
    Timeout,
)
from mcp_llm.http.transport import BASES, ORIGINS, Deadlines, Transport
from mcp_llm.wires.base import HttpRequest

pytestmark = pytest.mark.anyio


# What a call is


async def test_a_request_is_sent_as_given_and_the_reply_comes_back(transport: Transport) -> None:
    with FaultServer([Reply(status=418, headers={"X-Thing": "a", "x-thing2": "b"}, body=b"tea")]) as server:
        async with transport.stream(f"{server.url}/v1", ASK, HEADERS) as exchange:
            assert (exchange.status, exchange.first_byte_s) == (418, None)
            assert await exchange.body() == b"tea"
            assert exchange.first_byte_s is not None
            assert 0 < exchange.first_byte_s <= time.monotonic() - exchange.sent_at
            assert {**exchange.headers, "date": ""} == {
                "x-thing": "a",
                "x-thing2": "b",
                "content-length": "3",
                "date": "",
            }
            assert exchange.headers["date"].endswith("GMT")
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/v1/chat?key=in-the-url")
    assert request.body == b'{"prompt":"the secret prompt"}'
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "mcp-llm",
        "accept": "*/*",
        "accept-encoding": "identity",
        "authorization": f"Bearer {KEY}",
        "content-type": "application/json",
        "content-length": "30",
    }


async def test_a_large_body_arrives_whole_and_a_get_has_none(transport: Transport) -> None:
    text = "ä" * 3 * MIB
    with FaultServer([Reply(body=b"{}")]) as server:
        async with transport.stream(server.url, HttpRequest("POST", "/x", {"t": text}), {}) as exchange:
            await exchange.body()
        async with transport.stream(f"{server.url}/v1?api-version=1", HttpRequest("GET", "models"), {}) as exchange:
            await exchange.body()
    assert server.requests[0].body == b'{"t":"%b"}' % text.encode()
    assert (server.requests[1].target, server.requests[1].body) == ("/v1/models?api-version=1", b"")
    assert "content-length" not in server.requests[1].headers


async def test_an_ipv6_address_is_a_host_like_any_other(transport: Transport) -> None:
    try:
        server = FaultServer([ok("openai")], host="::1").__enter__()
    except RuntimeError:
        pytest.skip("this machine has no IPv6 loopback")
    try:
        assert await ask(transport, server.url) == ok("openai").body
        assert server.requests[0].headers["host"] == f"[::1]:{server.port}"
    finally:
        server.__exit__()


@pytest.mark.parametrize("wire", ["openai", "anthropic", "gemini", "responses", "ollama"])
async def test_streams_arrive_as_sent_and_the_connection_is_used_again(transport: Transport, wire: str) -> None:
    with FaultServer([ok(wire, stream=True), ok(wire)]) as server:
        async with asked(transport, server.url) as exchange:
            assert b"".join([data async for data in exchange.chunks()]) == ok(wire, stream=True).body
        assert await ask(transport, server.url) == ok(wire).body
    assert (server.connections, len(server.requests)) == (1, 2)


async def test_a_hundred_long_streams_do_not_wait_for_each_other(transport: Transport) -> None:
    reply = Reply(body=b"x" * 10, framing="chunked", hang=5)
    with FaultServer([reply]) as server:
        begun = 0
        everyone = anyio.Event()

        async def one() -> None:
            nonlocal begun
            async with asked(transport, server.url) as exchange:
                assert await anext(aiter(exchange.chunks())) == b"xxxxx"
                begun += 1
                if begun == 100:
                    everyone.set()
                await everyone.wait()

        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(one)
        assert server.connections == 100


async def test_a_reply_left_early_closes_the_socket_and_a_drained_one_keeps_it(transport: Transport) -> None:
    short = Reply(body=b"data: 1\n\ndata: [DONE]\n\n", framing="chunked", piece=9)
    with FaultServer(scripts={"short": [short], "long": [Reply(framing="chunked", forever=b"x" * 1000)]}) as server:
        async with asked(transport, f"{server.url}/short") as exchange:
            async for _ in exchange.chunks():
                break
            await exchange.drain()
        async with asked(transport, f"{server.url}/short") as exchange:
            await exchange.body()
        assert server.connections == 1
        async with asked(transport, f"{server.url}/long") as exchange:
            async for _ in exchange.chunks():
                break
            started = time.monotonic()
        took = await in_thread(server.wait_closed) - started
        async with asked(transport, f"{server.url}/long") as exchange:
            async for _ in exchange.chunks():
                break
            started = time.monotonic()
            await exchange.drain(0.1)
            drained = time.monotonic() - started
        await in_thread(server.wait_closed)
    print(f"stopped early: socket closed after {took * 1000:.0f} ms; a drain of 100 ms took {drained * 1000:.0f} ms")
    assert took <= 0.25
    assert drained <= 0.2


@pytest.mark.parametrize("moment", ["before the reply", "in the reply"])
async def test_cancelling_closes_the_socket_at_once(transport: Transport, moment: str) -> None:
    early = moment == "before the reply"
    with FaultServer([Reply(body=b"x" * 9, framing="chunked", hang="headers" if early else 5)]) as server:
        reading = anyio.Event()

        async def call() -> None:
            async with asked(transport, server.url) as exchange:
                async for _ in exchange.chunks():
                    reading.set()

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await in_thread(server.wait_request)
            if not early:
                await reading.wait()
            started = time.monotonic()
            group.cancel_scope.cancel()
        took = await in_thread(server.wait_closed) - started
        print(f"cancelled {moment}: socket closed after {took * 1000:.0f} ms")
        assert took <= 0.25
        assert len(server.requests) == 1


# F5, F8: refused, reset, cut, and what is no HTTP


async def test_a_refused_connection_names_the_host_and_the_cause(transport: Transport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = await failing(transport, f"http://127.0.0.1:{port}/v1")
    assert isinstance(error, Disconnected)
    assert str(error) == f"127.0.0.1:{port} refused the connection; nothing listens there"


CUT = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(reset="headers"), Disconnected, "127.0.0.1 reset the connection before it answered"),
        (Reply(body=b"x" * 9, reset=5), Disconnected, "127.0.0.1 reset the connection in the middle of the reply"),
        (Reply(raw=b"", framing="none"), Disconnected, "127.0.0.1 closed the connection before it answered"),
        (Reply(raw=CUT, body=b'{"id":', framing="none"), Disconnected, "closed the connection in the middle"),
        (Reply(body=b"12", framing="chunked", hang=None, close=True), None, ""),
        (Reply(raw=b"<html>no</html>\r\n\r\n", framing="none"), Garbled, "did not answer in valid HTTP"),
        (Reply(headers={f"x-{n}": "y" * 1000 for n in range(1000)}), Garbled, "did not answer in valid HTTP"),
        (Reply(raw=b"HTTP/1.1 103 Early\r\n\r\n" * 100_000), Garbled, "more than 16 interim replies"),
    ],
    ids=["reset early", "reset late", "closed", "cut", "whole", "html", "headers", "interim"],
)
async def test_a_broken_reply_is_told_by_its_cause(
    transport: Transport, reply: Reply, kind: type[Error] | None, words: str
) -> None:
    with FaultServer([reply]) as server:
        async with stalls() as stall:
            if kind is None:
                assert await ask(transport, server.url) == reply.body
            else:
                error = await failing(transport, server.url)
                assert type(error) is kind
                assert words in str(error)
        print(f"{words or 'a whole reply'}: longest stall {stall[0] * 1000:.0f} ms")
        assert stall[0] <= 0.25
        assert len(server.requests) == 1


# F6: deadlines


@pytest.mark.parametrize(
    ("name", "reply", "deadlines", "seconds"),
    [
        ("first_byte", Reply(hang="headers"), Deadlines(first_byte=0.3, total=5), 0.3),
        ("first_byte", Reply(hang=0, body=b"x", framing="chunked"), Deadlines(first_byte=0.3, total=5), 0.3),
        ("idle", Reply(hang=5, body=b"x" * 9, framing="chunked"), Deadlines(idle=0.3, total=5), 0.3),
        ("total", Reply(body=b"x" * 900, piece=1, every=0.02), Deadlines(idle=0.5, total=1), 1.0),
        ("total", Reply(framing="chunked", forever=b": ping\n\n", every=0.01), Deadlines(idle=0.5, total=1), 1.0),
        ("total", Reply(hang="headers"), Deadlines(total=0.3), 0.3),
    ],
    ids=["no answer", "no body", "falls silent", "drip", "pings", "total first"],
)
async def test_each_deadline_is_kept_and_named(
    transport: Transport, name: str, reply: Reply, deadlines: Deadlines, seconds: float
) -> None:
    with FaultServer([reply]) as server:
        started = time.monotonic()
        error = await failing(transport, server.url, deadlines)
        took = time.monotonic() - started
        closed = await in_thread(server.wait_closed) - started - took
    print(f"{name} of {seconds} s: {took:.3f} s; socket closed {closed * 1000:.0f} ms later")
    assert isinstance(error, Timeout)
    assert f"within {seconds:g} s ({name} deadline" in str(error)
    assert seconds * 0.95 <= took <= seconds * 1.05 + 1  # a busy machine
    assert closed <= 0.25


async def test_a_connection_that_hangs_in_tls_ends_at_the_connect_deadline(transport: Transport) -> None:
    assert transport.tls.check_hostname  # loaded before the clock runs
    with FaultServer([ok("openai")]) as server:  # it speaks no TLS and waits for a request that never comes
        started = time.monotonic()
        error = await failing(transport, server.url.replace("http:", "https:"), Deadlines(connect=0.3))
        took = time.monotonic() - started
        await in_thread(server.wait_closed)
    print(f"connect of 0.3 s: {took:.3f} s")
    assert isinstance(error, Timeout)
    assert str(error).startswith("the TLS handshake was not finished within 0.3 s (connect deadline")
    assert took <= 0.3 * 1.05 + 1  # a busy machine


async def test_a_host_that_answers_no_connection_attempt_ends_at_the_connect_deadline(transport: Transport) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as waiting:
        for _ in range(4):  # nobody accepts: once the queue is full, the system drops what knocks
            knock = waiting.enter_context(socket.socket())
            knock.setblocking(False)
            knock.connect_ex(listener.getsockname())
        started = time.monotonic()
        error = await failing(transport, f"http://127.0.0.1:{listener.getsockname()[1]}", Deadlines(connect=0.3))
        took = time.monotonic() - started
    print(f"connect of 0.3 s: {took:.3f} s")
    assert isinstance(error, Timeout)
    assert "0.3 s (connect deadline" in str(error)
    assert took <= 0.3 * 1.05 + 1  # a busy machine


# Input that is no HTTP, and secrets


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "connection"])
async def test_a_header_that_frames_the_request_is_ours_to_write(transport: Transport, name: str) -> None:
    with pytest.raises(InvalidInput, match="is written by the connection itself"):
        async with transport.stream("http://127.0.0.1:9/v1", ASK, {name: "1"}):
            pass


@pytest.mark.parametrize("value", ["sk-1\r\nx-evil: 1", "sk-1\n", "sk\x00", " sk", "sk-\u2014dash"])
async def test_a_header_that_http_forbids_is_refused_without_telling_its_value(
    transport: Transport, value: str
) -> None:
    with FaultServer([ok("openai")]) as server:
        with pytest.raises(InvalidInput, match="the header 'authorization' holds characters HTTP forbids") as caught:
            async with transport.stream(server.url, ASK, {"Authorization": value}):
                pass
        assert "sk" not in str(caught.value)
        assert server.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.localhost/",
        "x.localhost/v1",
        "http://",
        "http://x.localhost:99999/",
        "http://[::1/",
        "http://user:pass@x.localhost/",
        "http://x y.localhost/",
        f"http://{'ä' * 70}.localhost/",
        "http://x.localhost/a b",
        "http://x.localhost/a\u2014",
    ],
)
async def test_a_base_url_that_is_none_is_invalid_input(transport: Transport, url: str) -> None:
    assert isinstance(await failing(transport, url), InvalidInput)


async def test_json_that_cannot_be_written_is_refused_and_lone_surrogates_are_replaced(transport: Transport) -> None:
    with FaultServer([ok("openai")]) as server:
        for bad in (math.nan, math.inf, {"x": [-math.inf]}, object()):
            with pytest.raises(InvalidInput, match="the request is no JSON"):
                transport.stream(server.url, HttpRequest("POST", "/", {"x": bad}), {})
        texts = {"a": "NaN and Infinity", "b": "cut \ud83d here", "c": "\ud83d\ude00"}
        async with transport.stream(server.url, HttpRequest("POST", "/", texts), {}) as exchange:
            await exchange.body()
    assert server.requests[0].body == '{"a":"NaN and Infinity","b":"cut \ufffd here","c":"😀"}'.encode()


async def test_nothing_of_a_call_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with FaultServer([ok("openai"), Reply(reset="headers")]) as server:
        async with Transport() as transport:
            await ask(transport, server.url)
            await failing(transport, server.url)
    assert [record.getMessage() for record in caplog.records if "asyncio" not in record.name] == []


async def test_connections_to_origins_that_were_not_asked_for_long_are_given_up() -> None:
    """All names lead to one server, which is their proxy."""
    hosts = [f"host-{number}.example" for number in range(ORIGINS + 10)]
    with FaultServer([Reply(body=b"ok")]) as server:
        async with Transport(http_proxy=server.url) as transport:

            async def get(host: str) -> bytes:
                async with transport.stream(f"http://{host}", HttpRequest("GET", "/"), {}) as exchange:
                    return await exchange.body()

            for host in hosts:
                assert await get(host) == b"ok"
            with anyio.fail_after(10):
                while server.open > ORIGINS:
                    await anyio.lowlevel.checkpoint()
            assert server.connections == len(hosts)
            assert (await get(hosts[-1]), server.connections) == (b"ok", len(hosts))
            assert (await get(hosts[0]), server.connections) == (b"ok", len(hosts) + 1)


async def test_an_exchange_outlasts_the_giving_up_of_its_origin() -> None:
    with FaultServer([Reply(body=b"ok", framing="chunked")]) as server:
        async with Transport(http_proxy=server.url) as transport:
            async with transport.stream("http://first.example", HttpRequest("GET", "/"), {}) as exchange:
                for number in range(ORIGINS):
                    async with transport.stream(f"http://h{number}.example", HttpRequest("GET", "/"), {}) as other:
                        await other.body()
                assert await exchange.body() == b"ok"
            with anyio.fail_after(10):
                while server.open > ORIGINS:
                    await anyio.lowlevel.checkpoint()


async def test_base_urls_without_end_are_not_remembered_without_end() -> None:
    async with Transport() as transport:
        for number in range(BASES * 2 + 1):
            transport.stream(f"http://127.0.0.1:1/{number}", ASK, HEADERS)
        assert len(transport._bases) <= BASES


async def test_closing_leaves_no_socket_open() -> None:
    with FaultServer([ok("openai")]) as server:
        async with Transport() as transport:
            async with asked(transport, server.url) as one, asked(transport, server.url) as two:
                await one.body()
                await two.body()
            assert server.connections == 2
        for _ in range(2):
            await in_thread(server.wait_closed)
        assert server.open == 0
