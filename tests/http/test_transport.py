"""The way to a provider under every fault a network has, against a scripted server on loopback; figures are printed."""

from __future__ import annotations

import gzip
import logging
import math
import socket
import threading
import time
import zlib
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from canary import KEY
from faults.certificates import Certificates, Fault
from faults.memory import needs_linux, peak_since
from faults.replies import MIB, bomb, ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import (
    ConfigError,
    Disconnected,
    Error,
    Garbled,
    InvalidInput,
    ProviderError,
    Timeout,
    TooLarge,
)
from mcp_llm.http.transport import Caps, Deadlines, Exchange, Transport
from mcp_llm.wires.base import HttpRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

HEADERS = {"Authorization": f"Bearer {KEY}"}
ASK = HttpRequest("POST", "/chat", {"prompt": "the secret prompt"}, query={"key": "in-the-url"})
QUICK = Deadlines(connect=2, first_byte=2, idle=2, total=5)


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as made:
        yield made


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def asked(transport: Transport, url: str, deadlines: Deadlines = QUICK) -> AsyncIterator[Exchange]:
    with anyio.fail_after(10):
        async with transport.stream(url, ASK, HEADERS, deadlines) as exchange:
            yield exchange


async def ask(transport: Transport, url: str, deadlines: Deadlines = QUICK) -> bytes:
    async with asked(transport, url, deadlines) as exchange:
        return await exchange.body()


async def failing(transport: Transport, url: str, deadlines: Deadlines = QUICK) -> Error:
    """The error of a call, which tells neither the key nor the query nor the prompt."""
    with pytest.raises(Error) as caught:
        await ask(transport, url, deadlines)
    assert not {KEY, "in-the-url", "secret prompt"} & set(str(caught.value).split())
    assert KEY not in str(caught.value)
    assert "in-the-url" not in str(caught.value)
    return caught.value


async def skim(exchange: Exchange) -> None:
    async for _ in exchange.chunks():
        pass


async def in_thread(function: Any, *args: Any) -> Any:
    return await anyio.to_thread.run_sync(function, *args)


@asynccontextmanager
async def stalls() -> AsyncIterator[list[float]]:
    """The longest time for which the event loop gave nobody else a turn, in seconds."""
    longest = [0.0]

    async def watch() -> None:
        while True:
            last = time.monotonic()
            try:
                await anyio.lowlevel.checkpoint()
            finally:
                longest[0] = max(longest[0], time.monotonic() - last)

    watching = anyio.create_task_group()
    async with watching:
        watching.start_soon(watch)
        try:
            yield longest
        finally:
            watching.cancel_scope.cancel()


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


# F10, T10: redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_named_and_never_followed(transport: Transport, status: int) -> None:
    with FaultServer([ok("openai")]) as other:
        location = f"http://localhost:{other.port}/steal?key=in-the-url"
        with FaultServer([Reply(status=status, headers={"location": location})]) as server:
            error = await failing(transport, server.url)
            assert len(server.requests) == 1
        assert (other.connections, other.requests) == (0, [])
    assert isinstance(error, Disconnected)
    assert not error.may_retry
    assert str(error) == (
        f"HTTP {status}: 127.0.0.1 redirects to 'localhost', which is never followed; correct the base URL"
    )


# F11: TLS


async def test_a_trusted_certificate_is_accepted_and_the_connection_kept(certificates: Certificates) -> None:
    with FaultServer([ok("openai")], tls=certificates.server()) as server:
        async with Transport(ca_file=certificates.ca_file) as transport:
            for _ in range(3):
                assert await ask(transport, server.url) == ok("openai").body
        assert server.connections == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("expired", "the certificate of 127.0.0.1 has expired"),
        ("wrong host", "the certificate of 127.0.0.1 is for another"),
        ("self-signed", "the certificate of 127.0.0.1 is self-signed"),
        ("unknown authority", "the certificate of 127.0.0.1 is signed by an authority that is not trusted here"),
    ],
)
async def test_a_bad_certificate_is_named_and_no_variable_lets_it_pass(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, fault: Fault, words: str
) -> None:
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(variable, certificates.ca_file)
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    with FaultServer([ok("openai")], tls=certificates.server(fault)) as server:
        trusted = None if fault == "unknown authority" else certificates.ca_file
        async with Transport(ca_file=trusted) as transport:
            error = await failing(transport, server.url)
        assert server.requests == []
    assert isinstance(error, Disconnected)
    assert words in str(error)
    assert not error.may_retry


async def test_authorities_come_from_the_settings_only(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)
    with FaultServer([ok("openai")], tls=certificates.server()) as server:
        async with Transport() as transport:
            assert "not trusted here" in str(await failing(transport, server.url))
        assert server.requests == []
    async with Transport(ca_file=f"{certificates.ca_file}.missing") as transport:
        with pytest.raises(ConfigError, match="`ca_file` cannot be read"):
            await ask(transport, server.url)


async def test_plain_http_where_tls_is_expected_is_told(transport: Transport) -> None:
    with FaultServer([], greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        error = await failing(transport, server.url.replace("http:", "https:"))
    assert isinstance(error, Disconnected)
    assert str(error).startswith("TLS with 127.0.0.1 failed: ")
    assert "does it speak TLS at all?" in str(error)


# F12: names


async def test_a_name_that_does_not_exist_is_named(transport: Transport) -> None:
    error = await failing(transport, "https://api.provider.invalid/v1")
    assert isinstance(error, Disconnected)
    assert str(error).startswith("the name api.provider.invalid cannot be resolved (DNS: ")


async def test_a_resolver_that_hangs_stalls_nobody_and_ends_at_the_connect_deadline(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()
    real = socket.getaddrinfo

    def hang(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host in ("slow.localhost", b"slow.localhost"):
            answer.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "too late")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    started = time.monotonic()
    try:
        async with stalls() as stall:
            error = await failing(transport, "http://slow.localhost:9/v1", Deadlines(connect=0.3))
        took = time.monotonic() - started
    finally:
        answer.set()
    print(f"hanging resolver: {took:.3f} s, longest stall {stall[0] * 1000:.0f} ms")
    assert isinstance(error, Timeout)
    assert "connect deadline" in str(error)
    assert stall[0] <= 0.25
    assert took <= 0.5


async def test_a_dead_ipv6_address_is_passed_over_for_ipv4(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(socket.AF_INET6, *kind, ("::1", port, 0, 0)), (socket.AF_INET, *kind, ("127.0.0.1", port))]

    with FaultServer([ok("openai")]) as server:
        monkeypatch.setattr(socket, "getaddrinfo", both)
        started = time.monotonic()
        assert await ask(transport, f"http://dual.localhost:{server.port}") == ok("openai").body
        print(f"IPv6 refused, IPv4 used after {(time.monotonic() - started) * 1000:.0f} ms")


# F13: stale connections


async def test_a_stale_connection_is_replaced_once_and_nobody_notices(transport: Transport) -> None:
    with FaultServer([Reply(body=b"1", close=True), Reply(body=b"2")]) as server:
        assert await ask(transport, server.url) == b"1"
        await in_thread(server.wait_closed)
        assert await ask(transport, server.url) == b"2"
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_a_request_lost_on_a_used_connection_is_sent_again_exactly_once(transport: Transport) -> None:
    kept, lost = Reply(body=b"1"), Reply(reset="headers")
    with FaultServer(scripts={"once": [kept, lost, Reply(body=b"2")], "twice": [kept, lost, lost, kept]}) as server:
        assert await ask(transport, f"{server.url}/once") == b"1"
        assert await ask(transport, f"{server.url}/once") == b"2"
        assert server.count("once") == 3
        assert await ask(transport, f"{server.url}/twice") == b"1"
        assert isinstance(await failing(transport, f"{server.url}/twice"), Disconnected)
        assert server.count("twice") == 3


@pytest.mark.parametrize("reply", [Reply(reset=1, body=b"xx"), Reply(raw=b"HTTP/1.1 2", framing="none")])
async def test_nothing_is_sent_again_once_a_byte_of_the_reply_came(transport: Transport, reply: Reply) -> None:
    with FaultServer([Reply(body=b"1"), reply, Reply(body=b"2")]) as server:
        assert await ask(transport, server.url) == b"1"
        assert isinstance(await failing(transport, server.url), ProviderError)
        assert len(server.requests) == 2


async def test_a_new_connection_that_fails_is_not_tried_again(transport: Transport) -> None:
    with FaultServer([Reply(reset="headers"), Reply(body=b"2")]) as server:
        assert isinstance(await failing(transport, server.url), Disconnected)
        assert len(server.requests) == 1


async def test_bytes_after_a_reply_are_never_taken_for_the_next_one(transport: Transport) -> None:
    forged = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
    more = Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n", body=b"1" + forged)
    with FaultServer([more, Reply(body=b"2")]) as server:
        assert await ask(transport, server.url) == b"1"
        assert await ask(transport, server.url) == b"2"
    assert (server.connections, len(server.requests)) == (2, 2)


# T11: proxies


async def test_a_request_goes_through_the_proxy_that_was_given() -> None:
    with FaultServer([ok("openai")]) as proxy:
        async with Transport(http_proxy=f"http://me:p%40ss@127.0.0.1:{proxy.port}") as transport:
            assert await ask(transport, "http://api.provider.invalid/v1") == ok("openai").body
    (request,) = proxy.requests
    assert request.target == "http://api.provider.invalid/v1/chat?key=in-the-url"
    assert request.headers["proxy-authorization"] == "Basic bWU6cEBzcw=="
    assert request.headers["host"] == "api.provider.invalid"


async def test_https_asks_the_proxy_for_a_tunnel_and_tells_when_it_is_refused() -> None:
    with FaultServer([Reply(status=407)]) as proxy:
        async with Transport(https_proxy=f"127.0.0.1:{proxy.port}") as transport:
            error = await failing(transport, "https://api.provider.invalid/v1")
    assert [(request.method, request.target) for request in proxy.requests] == [("CONNECT", "api.provider.invalid:443")]
    assert "authorization" not in proxy.requests[0].headers
    assert isinstance(error, Disconnected)
    assert str(error) == (
        "the proxy refused the connection to api.provider.invalid (HTTP 407): "
        "its user and password belong into HTTPS_PROXY"
    )


async def test_a_tunnel_carries_tls_to_the_end_and_is_kept(certificates: Certificates) -> None:
    tls = certificates.server(names=("api.provider.invalid",))
    with FaultServer([ok("openai")], tls=tls) as server, FaultServer(tunnel=server.port) as proxy:
        async with Transport(ca_file=certificates.ca_file, https_proxy=f"http://127.0.0.1:{proxy.port}") as transport:
            for _ in range(2):
                assert await ask(transport, "https://api.provider.invalid/v1") == ok("openai").body
            error = await failing(transport, "https://other.provider.invalid/v1")
        assert (server.connections, len(server.requests)) == (1, 2)
    assert "the certificate of other.provider.invalid is for another host name" in str(error)


PLACE = "https://api.provider.invalid/v1"


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(502), Disconnected, "the proxy refused the connection to api.provider.invalid (HTTP 502)"),
        (Reply(reset="headers"), Disconnected, "the proxy closed the connection instead of making one"),
        (Reply(raw=b"HTTP/1.1 200", framing="none"), Disconnected, "the proxy closed the connection instead"),
        (Reply(raw=b"<html>hello</html>\r\n\r\n"), Garbled, "the proxy did not answer in valid HTTP"),
        (Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n\x15\x03\x03"), Garbled, "the proxy sent more than the answer"),
        (Reply(forever=b"x", raw=b"HTTP/1.1 200 " + b"O" * 40_000), Garbled, "the proxy did not answer in valid HTTP"),
        (Reply(hang="headers"), Timeout, "no connection was made within 0.3 s (connect deadline"),
    ],
)
async def test_a_proxy_that_makes_no_tunnel_is_blamed_and_nothing_was_sent(
    reply: Reply, kind: type[Error], words: str
) -> None:
    with FaultServer([reply]) as proxy:
        async with Transport(https_proxy=f"http://me:secret@127.0.0.1:{proxy.port}") as transport:
            assert transport.tls.check_hostname  # loaded before the clock runs
            error = await failing(transport, PLACE, Deadlines(connect=0.3))
    assert type(error) is kind
    assert words in str(error)
    assert [(request.method, request.headers["host"]) for request in proxy.requests] == [
        ("CONNECT", "api.provider.invalid:443")
    ]
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"
    assert "authorization" not in proxy.requests[0].headers


async def test_a_tunnel_may_lead_through_tls_to_the_proxy_itself(certificates: Certificates) -> None:
    tls = certificates.server(names=("api.provider.invalid",))
    with FaultServer([ok("openai")], tls=tls) as server:
        with FaultServer(tunnel=server.port, tls=certificates.server()) as proxy:
            url = f"https://me:secret@127.0.0.1:{proxy.port}"
            async with Transport(ca_file=certificates.ca_file, https_proxy=url) as transport:
                for _ in range(2):
                    assert await ask(transport, PLACE) == ok("openai").body
        assert (server.connections, len(server.requests), proxy.connections) == (1, 2, 1)


@pytest.mark.parametrize("behind", [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother", b"rubbish"])
async def test_what_comes_behind_a_reply_through_a_proxy_is_nobodys(certificates: Certificates, behind: bytes) -> None:
    tls = certificates.server(names=("api.provider.invalid",))
    twice = Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst" + behind)
    with FaultServer([twice, Reply(body=b"mine")], tls=tls) as server, FaultServer(tunnel=server.port) as proxy:
        async with Transport(ca_file=certificates.ca_file, https_proxy=f"127.0.0.1:{proxy.port}") as transport:
            assert [await ask(transport, PLACE) for _ in range(2)] == [b"first", b"mine"]
    with FaultServer([twice, Reply(body=b"mine")]) as proxy:
        async with Transport(http_proxy=f"127.0.0.1:{proxy.port}") as transport:
            assert [await ask(transport, PLACE.replace("https", "http")) for _ in range(2)] == [b"first", b"mine"]


async def test_a_proxy_that_cannot_be_reached_is_blamed() -> None:
    async with Transport(http_proxy="http://127.0.0.1:1") as transport:
        error = await failing(transport, "http://api.provider.invalid/v1")
    assert str(error) == ("the way is through a proxy, and 127.0.0.1:1 refused the connection; nothing listens there")


async def test_this_machine_is_never_reached_through_a_proxy() -> None:
    with FaultServer([ok("openai")]) as server, FaultServer([ok("openai")]) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        async with Transport(http_proxy=url, https_proxy=url) as transport:
            for host in ("127.0.0.1", "localhost"):
                await ask(transport, f"http://{host}:{server.port}")
        assert (len(server.requests), proxy.connections) == (2, 0)


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
