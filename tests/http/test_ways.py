"""The way to a host: redirects, TLS, names, stale connections and proxies."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import (
    ConfigError,
    Disconnected,
    Error,
    Garbled,
    ProviderError,
    Timeout,
)
from mcp_llm.http.deadlines import Clock
from mcp_llm.http.incoming import Malformed
from mcp_llm.http.sockets import connect
from mcp_llm.http.transport import Deadlines, Transport

if TYPE_CHECKING:
    from faults.certificates import Certificates, Fault
from faults.exchanges import ask, failing, in_thread, stalls

pytestmark = pytest.mark.anyio


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


async def test_what_a_proxy_says_before_tls_is_never_taken_for_what_the_host_said_over_it(
    certificates: Certificates,
) -> None:
    """The answer to CONNECT ends just where a piece that is read ends, and a reply of the proxy's own follows."""
    start = b"HTTP/1.1 200 OK\r\nx: "
    answer = start + b"x" * (16_384 - len(start) - 4) + b"\r\n\r\n"
    forged = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
    tls = certificates.server(names=("api.provider.invalid",))
    with FaultServer([ok("openai")], tls=tls) as server:
        with FaultServer(tunnel=server.port, joined=answer + forged) as proxy:
            async with Transport(ca_file=certificates.ca_file, https_proxy=f"127.0.0.1:{proxy.port}") as transport:
                error = await failing(transport, PLACE)
        assert server.requests == []
    assert isinstance(error, Garbled)
    assert str(error) == "the proxy sent more than the answer to what it was asked"


async def test_where_too_many_files_are_open_a_connection_that_cannot_be_used_is_closed(transport: Transport) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as held:
        null = os.open(os.devnull, os.O_RDONLY)
        held.callback(os.close, null)
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (null + 20, hard))
        last = -1
        with suppress(OSError):
            while True:
                last = os.dup(null)
                held.callback(os.close, last)
        os.close(last)  # room for one
        try:
            error = await failing(transport, f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            assert os.dup(null) == last
    assert isinstance(error, Disconnected)
    assert str(error).endswith("cannot be reached: this process has too many open files")


async def test_bytes_that_come_before_tls_end_the_connection() -> None:
    with FaultServer(greeting=b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged") as server, anyio.fail_after(5):
        socket = await connect("127.0.0.1", server.port, Clock(Deadlines()))
        while not socket.unread:
            await anyio.lowlevel.checkpoint()
        with pytest.raises(Malformed, match="bytes came before TLS began"):
            await socket.start_tls(ssl.create_default_context(), "127.0.0.1")
        assert not socket.fresh


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
