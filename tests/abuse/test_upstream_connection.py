"""How the way to a provider may fail, line by line of the corpus: connections, names, TLS, netrc, interim replies."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from abuse.corpus import case
from abuse.upstream import OK, TWO, play
from faults.asking import CANARY, ask, failing, rows
from faults.certificates import Certificates, Fault, handshakes
from faults.replies import SSE, ok, sse
from faults.server import FaultServer, Reply, head

from mcp_llm.errors import Disconnected, Garbled, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faults.asking import Asking

pytestmark = pytest.mark.anyio

HOST = "api.acme.test"
"""A host that is not this machine, as far as anybody can tell."""


def limits(**changes: float) -> dict[str, float]:
    return {"connect": 5, "first_byte": 5, "idle": 5, "total": 9, **changes}


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`resolves("127.0.0.1", ...)`: what a resolver says of the host, in that order."""
    real = socket.getaddrinfo

    def answer(*addresses: str) -> None:
        def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host not in {HOST, HOST.encode()}:
                return real(host, port, *args, **kwargs)
            kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [
                (socket.AF_INET6, *kind, (one, port, 0, 0)) if ":" in one else (socket.AF_INET, *kind, (one, port))
                for one in addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)

    return answer


@pytest.fixture
def black_hole() -> Iterator[Callable[..., int]]:
    """`black_hole(host, port)`: a port there that answers no connection attempt."""
    with ExitStack() as stack:

        def dig(host: str, port: int = 0) -> int:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = stack.enter_context(socket.create_server((host, port), family=family, backlog=0))
            for _ in range(4):  # nobody accepts: once the queue is full, the system drops what knocks
                knock = stack.enter_context(socket.socket(family))
                knock.setblocking(False)
                knock.connect_ex(listener.getsockname())
            return int(listener.getsockname()[1])

        yield dig


async def test_uph_051_a_refused_connection_is_tried_three_times_and_then_asked_of_the_next(
    asking: Asking, resolves: Callable[..., None]
) -> None:
    assert case("UPH-051").fault == {"connect": "refused"}
    resolves("127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with FaultServer([OK]) as server:
        model = asking.provider("acme", f"https://{HOST}:{port}/v1")
        asking.provider("backup", server.url)
        async with asking.open(**TWO) as service:
            error = await failing(service, model)
            answer = await ask(service)
            found = await rows(service)
    assert type(error) is Disconnected
    assert f"{HOST}:{port} refused the connection; nothing listens there" in str(error)
    assert answer.provider == "backup"
    # The breaker opens with the fifth failure: the second call does not ask a third time.
    assert found == [*[("acme", "disconnected")] * 5, ("backup", "ok")]
    assert len(asking.waits) == 3
    assert sum(asking.waits) <= 0.5 + 1 + 0.5


async def test_uph_052_a_host_that_answers_no_connection_attempt_costs_the_connect_deadline_each_time(
    asking: Asking, resolves: Callable[..., None], black_hole: Callable[..., int]
) -> None:
    assert case("UPH-052").fault == {"connect": "blackhole"}
    resolves("127.0.0.1")
    model = asking.provider("acme", f"https://{HOST}:{black_hole('127.0.0.1')}/v1")
    async with asking.open(timeouts=limits(connect=0.2)) as service:
        each = await failing(service, model)
        found = await rows(service)
        service.llm.breakers.release("acme")
    assert type(each) is Timeout
    assert "no connection was made within 0.2 s (connect deadline; it is set as `timeouts.connect`)" in str(each)
    assert found == [("acme", "timeout")] * 3
    async with asking.open(timeouts=limits()) as service:
        whole = await failing(service, model, timeout_s=0.3)
        found = (await rows(service))[3:]
    assert type(whole) is Timeout
    assert "total deadline" in str(whole)
    assert found == [("acme", "timeout")]


async def test_uph_053_a_connection_reset_after_the_first_words_is_told_with_them(asking: Asking) -> None:
    count = case("UPH-053").fault["reset_after_chunks"]
    words = [{"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Once upon"}}]}]
    body = sse(words * count)
    late = await play(
        asking, [Reply(headers=SSE, body=body, framing="chunked", reset=len(body)), OK], fails=True, backup=True
    )
    error = late.failed(Disconnected)
    assert (error.partial, error.may_retry) == ("Once upon" * count, False)
    assert (late.requests, late.backup, late.rows) == (1, 0, [("acme", "disconnected")])
    early = await play(asking, [Reply(reset="headers"), OK])
    assert (early.succeeded().response, early.requests) == ("Hello there", 2)


@pytest.mark.parametrize("order", [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
async def test_uph_055_an_ipv6_address_that_is_a_black_hole_is_passed_over_for_ipv4(
    asking: Asking,
    tmp_path: Path,
    resolves: Callable[..., None],
    black_hole: Callable[..., int],
    order: tuple[str, ...],
) -> None:
    assert case("UPH-055").fault == {"dns": "AAAA blackhole, A good"}
    certificates = Certificates(tmp_path)
    with FaultServer([OK], tls=certificates.server(names=(HOST,))) as server:
        try:
            black_hole("::1", server.port)
        except OSError:
            pytest.skip("this machine has no IPv6 loopback, or somebody else has the port there")
        resolves(*order)
        model = asking.provider("acme", f"https://{HOST}:{server.port}/v1")
        async with asking.open(timeouts=limits(connect=4), ca_file=certificates.ca_file) as service:
            answer = await ask(service, model)
            found = await rows(service)
    assert answer.response == "Hello there"
    assert found == [("acme", "ok")]  # within the one connect deadline of the one attempt


@pytest.mark.parametrize(
    ("name", "fault", "words"),
    [
        ("UPH-056", "expired", "TLS: the certificate of 127.0.0.1 has expired; nothing was sent"),
        ("UPH-059", "TLS 1.0 only", "it speaks no TLS that is safe (1.2 or later); nothing was sent"),
    ],
)
async def test_tls_that_is_wrong_is_named_after_one_attempt_whatever_anybody_sets(
    asking: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: Fault, words: str
) -> None:
    assert case(name).fault == {"tls": fault}
    certificates = Certificates(tmp_path)
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(variable, certificates.ca_file)
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    (tmp_path / "openssl.cnf").write_text(
        "[system_default_sect]\nMinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n"
    )
    monkeypatch.setenv("OPENSSL_CONF", str(tmp_path / "openssl.cnf"))
    with handshakes(certificates.server(fault)) as (port, read):
        model = asking.provider("acme", f"https://127.0.0.1:{port}")
        async with asking.open(ca_file=certificates.ca_file) as service:
            error = await failing(service, model, options={"verify": False, "verify_ssl": False})
            found = await rows(service)
    assert b"".join(read) == b""
    assert type(error) is Disconnected
    assert words in str(error)
    assert found == [("acme", "disconnected")]


async def test_uph_060_a_handshake_that_hangs_is_named_after_one_attempt(asking: Asking) -> None:
    assert case("UPH-060").fault == {"tls": "handshake hangs"}
    with FaultServer([OK]) as server:  # it waits for a request in plain HTTP
        asking.provider("acme", server.url.replace("http:", "https:"))
        with FaultServer([OK]) as sound:
            asking.provider("backup", sound.url)
            async with asking.open(timeouts=limits(connect=0.3), **TWO) as service:
                assert service.llm.transport().tls.check_hostname  # loaded before the clock runs
                answer = await ask(service)
                error = await failing(service, "acme:m")
                found = await rows(service)
        assert server.requests == []
    assert answer.provider == "backup"
    assert type(error) is Timeout
    assert "the TLS handshake was not finished within 0.3 s (connect deadline" in str(error)
    assert found == [("acme", "timeout"), ("backup", "ok"), ("acme", "timeout")]


async def test_uph_061_plain_http_where_tls_is_expected_is_named_after_one_attempt(asking: Asking) -> None:
    assert case("UPH-061").fault == {"tls": "plain HTTP on 443"}
    with FaultServer([], greeting=b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n") as server:
        model = asking.provider("acme", server.url.replace("http:", "https:"))
        async with asking.open() as service:
            error = await failing(service, model)
            found = await rows(service)
        assert server.requests == []
    assert type(error) is Disconnected
    assert "TLS with 127.0.0.1 failed: " in str(error)
    assert "does it speak TLS at all?; nothing was sent" in str(error)
    assert found == [("acme", "disconnected")]


async def test_uph_063_a_netrc_gives_nobody_credentials(
    asking: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = case("UPH-063").fault["netrc"]
    for name in (".netrc", "_netrc"):
        (tmp_path / name).write_text(f"{line.replace('api.openai.com', '127.0.0.1')}\ndefault login c password d\n")
        (tmp_path / name).chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with FaultServer([OK]) as server:
        bare = asking.provider("bare", server.url, "[auth]\nrequired = false\n", key=None)
        keyed = asking.provider("keyed", server.url)
        async with asking.open() as service:
            for model in (bare, keyed):
                await ask(service, model)
    assert [request.headers.get("authorization") for request in server.requests] == [None, f"Bearer {CANARY}"]


def interim(count: int, status: int = 103) -> Reply:
    sound = ok("openai")
    early = b"HTTP/1.1 %d Early\r\nlink: </style.css>\r\n\r\n" % status
    return Reply(raw=early * count + head(sound), body=sound.body)


@pytest.mark.parametrize("status", [100, 102, 103, 199])
async def test_uph_067_sixteen_interim_replies_mean_nothing_and_more_are_garbled(asking: Asking, status: int) -> None:
    few = await play(asking, [interim(16, status)])
    assert (few.succeeded().response, few.rows) == ("Hello there", [("acme", "ok")])
    for count in (17, case("UPH-067").fault["interim"]):
        many = await play(asking, [interim(count, status)], fails=True)
        assert "more than 16 interim replies" in str(many.failed(Garbled))
        assert (many.requests, many.rows) == (1, [("acme", "garbled")])
    big = Reply(raw=b"HTTP/1.1 103 Early\r\n" + b"x: %b\r\n" % (b"y" * 1000) * 1000 + b"\r\n" + head(OK), body=OK.body)
    assert "too many bytes of headers" in str((await play(asking, [big], fails=True)).failed(Garbled))
