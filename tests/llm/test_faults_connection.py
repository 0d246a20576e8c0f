"""A call over a network that fails: refused, reset, silent, redirected, distrusted, nameless, stale.

Counted at the provider: attempts, and the moment at which its sockets close.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from faults.asking import CANARY, ask, failing, rows
from faults.certificates import Certificates, Fault
from faults.replies import SSE, ok, sse
from faults.server import FaultServer, Reply

from mcp_llm.errors import Disconnected, Timeout
from mcp_llm.llm.generate import Ask, generate

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)
TWO: dict[str, Any] = {"default": "acme:m", "fallbacks": ["backup:m"]}
FIRST = sse([{"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Once upon"}}]}])
"""A stream's beginning: one event with two words."""
CLOSED_WITHIN = 0.25


async def closed(server: FaultServer) -> float:
    return await anyio.to_thread.run_sync(server.wait_closed)


def nobody() -> str:
    """The URL of a port where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


# F5: refused and reset


async def test_a_refused_connection_on_this_machine_is_tried_once_and_named(asking: Asking) -> None:
    url = nobody()
    model = asking.provider("acme", url)
    async with asking.open() as service:
        error = await failing(service, model)
        found = await rows(service)
    assert isinstance(error, Disconnected)
    assert "127.0.0.1" in str(error)
    assert "refused the connection" in str(error)
    assert found == [("acme", "disconnected")]
    assert asking.waits == []


async def test_a_refused_connection_sends_the_call_to_the_next_provider(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        asking.provider("acme", nobody())
        asking.provider("backup", server.url)
        async with asking.open(**TWO) as service:
            answer = await ask(service)
    assert answer.provider == "backup"
    assert [one.error for one in answer.fallbacks] == ["disconnected"]


@pytest.mark.parametrize(
    "first",
    [
        Reply(reset="headers"),
        Reply(headers=SSE, body=OK.body, framing="chunked", reset=0),
        Reply(headers={"content-length": "500"}, framing="none", body=b'{"id":', close=True),
    ],
    ids=["before the headers", "after the headers", "inside whole JSON"],
)
async def test_a_connection_lost_before_the_first_word_is_tried_again(asking: Asking, first: Reply) -> None:
    with FaultServer([first, OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model)
            found = await rows(service)
    assert (answer.response, len(server.requests)) == ("Hello there", 2)
    assert found == [("acme", "disconnected"), ("acme", "ok")]


@pytest.mark.parametrize(
    "broken",
    [
        Reply(headers=SSE, body=FIRST, framing="chunked", reset=len(FIRST)),
        Reply(headers=SSE, body=FIRST, framing="chunked"),
        Reply(headers=SSE, body=FIRST + b'data: {"choices":[{"del', framing="close"),
    ],
    ids=["reset", "ended cleanly", "cut inside an event"],
)
async def test_a_connection_lost_after_the_first_word_is_told_with_what_came(asking: Asking, broken: Reply) -> None:
    with FaultServer(scripts={"acme": [broken, OK], "backup": [OK]}) as server:
        asking.provider("acme", f"{server.url}/acme")
        asking.provider("backup", f"{server.url}/backup")
        async with asking.open(**TWO) as service:
            error = await failing(service)
            found = await rows(service)
            run = await service.runs.store.query("SELECT status, json_extract(result, '$.partial') FROM runs")
    assert isinstance(error, Disconnected)
    assert error.partial == "Once upon"
    assert not error.may_retry
    assert (server.count("acme"), server.count("backup")) == (1, 0)
    assert found == [("acme", "disconnected")]
    assert run == [("failed", "Once upon")]


# F6: silence


@pytest.mark.parametrize(
    ("limits", "reply", "named", "partial"),
    [
        ({"first_byte": 0.3}, Reply(hang="headers"), "first_byte", None),
        ({"first_byte": 0.3}, Reply(headers=SSE, framing="chunked", hang=0), "first_byte", None),
        ({"idle": 0.3}, Reply(headers=SSE, body=FIRST, framing="chunked", hang=len(FIRST)), "idle", "Once upon"),
        ({"total": 0.3}, Reply(headers=SSE, forever=b": ping\n\n", every=0.02, framing="chunked"), "total", None),
        (
            {"total": 0.3},
            Reply(headers=SSE, body=FIRST, forever=b": ping\n\n", every=0.02, framing="chunked"),
            "total",
            "Once upon",
        ),
        ({"total": 0.3}, Reply(headers=SSE, body=FIRST * 9, piece=1, every=0.01, framing="chunked"), "total", None),
    ],
    ids=["no answer", "no body", "no more", "pings", "pings after a word", "a drip"],
)
async def test_each_kind_of_silence_ends_in_time_and_names_its_limit(
    asking: Asking, limits: dict[str, float], reply: Reply, named: str, partial: str | None
) -> None:
    with FaultServer([reply]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(timeouts={"connect": 2, "first_byte": 2, "idle": 2, "total": 3, **limits}) as service:
            started = time.monotonic()
            error = await failing(service, model)
            ended = time.monotonic()
            shut = await closed(server)
            found = await rows(service)
    assert isinstance(error, Timeout)
    assert f"{named} deadline; it is set as `timeouts.{named}`" in str(error)
    assert 0.3 * 0.95 <= ended - started <= 0.3 * 1.05 + 0.25
    assert shut - ended <= CLOSED_WITHIN
    assert error.partial == partial
    assert (len(server.requests), found) == (1, [("acme", "timeout")])


async def test_the_calls_own_deadline_bounds_all_its_attempts(asking: Asking) -> None:
    with FaultServer([Reply(status=503, headers={"retry-after": "0.05"}), Reply(hang="headers")]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            await service.runs.store.start()
            started = time.monotonic()
            error = await failing(service, model, timeout_s=0.4)
            took = time.monotonic() - started
    assert isinstance(error, Timeout)
    assert "total deadline" in str(error)
    assert 0.38 <= took <= 0.7
    assert len(server.requests) == 2


async def test_a_silent_provider_is_not_asked_twice_but_the_next_is(asking: Asking) -> None:
    with FaultServer(scripts={"acme": [Reply(hang="headers")], "backup": [OK]}) as server:
        asking.provider("acme", f"{server.url}/acme", "[timeouts]\nfirst_byte = 0.2\n")
        asking.provider("backup", f"{server.url}/backup")
        async with asking.open(**TWO) as service:
            answer = await ask(service)
    assert (answer.provider, server.count("acme"), server.count("backup")) == ("backup", 1, 1)


async def test_waiting_for_a_slot_of_the_providers_limits_counts_against_the_deadline(asking: Asking) -> None:
    with FaultServer([Reply(hang="headers")]) as server:
        model = asking.provider("acme", server.url, "[limits]\nconcurrency = 1\n")
        async with asking.open() as service, anyio.create_task_group() as tasks:
            tasks.start_soon(generate, service, Ask("first", model))
            await anyio.to_thread.run_sync(server.wait_request)
            started = time.monotonic()
            error = await failing(service, model, timeout_s=0.3)
            took = time.monotonic() - started
            found = await rows(service)
            tasks.cancel_scope.cancel()
    assert error.kind == "rate_limited"
    assert "[limits]" in str(error)
    assert took <= 0.6
    assert len(server.requests) == 1
    assert found == []  # nothing was sent


# F10: redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed_and_its_target_is_named(asking: Asking, status: int) -> None:
    with FaultServer([OK]) as thief:
        reply = Reply(status=status, headers={"location": f"http://localhost:{thief.port}/steal"})
        with FaultServer([reply]) as server:
            model = asking.provider("acme", server.url)
            async with asking.open() as service:
                error = await failing(service, model)
                found = await rows(service)
        assert thief.requests == []
        assert thief.connections == 0
    assert isinstance(error, Disconnected)
    assert "redirects to 'localhost'" in str(error)
    assert len(server.requests) == 1
    assert found == [("acme", "disconnected")]


# F11: TLS


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("expired", "has expired"),
        ("wrong host", "is for another"),
        ("self-signed", "self-signed"),
        ("unknown authority", "authority that is not trusted"),
    ],
)
async def test_a_certificate_that_is_wrong_gets_no_request_and_no_key(
    asking: Asking, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, fault: Fault, words: str
) -> None:
    certificates = Certificates(tmp_path)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    with FaultServer([OK], tls=certificates.server(fault)) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(ca_file=certificates.ca_file) as service:
            error = await failing(service, model)
            found = await rows(service)
    assert isinstance(error, Disconnected)
    assert words in str(error)
    assert "nothing was sent" in str(error)
    assert server.requests == []
    assert found == [("acme", "disconnected")]  # one attempt: a certificate does not mend itself


async def test_an_authority_of_the_users_own_is_trusted_when_it_is_set(asking: Asking, tmp_path: Any) -> None:
    certificates = Certificates(tmp_path)
    with FaultServer([OK], tls=certificates.server()) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(ca_file=certificates.ca_file) as service:
            answer = await ask(service, model)
    assert answer.response == "Hello there"
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"


async def test_a_handshake_that_hangs_ends_at_the_connect_deadline(asking: Asking) -> None:
    with FaultServer([OK]) as server:  # it speaks no TLS and waits for a request that never comes
        model = asking.provider("acme", server.url.replace("http:", "https:"))
        limits = {"connect": 0.2, "first_byte": 2, "idle": 2, "total": 5}
        async with asking.open(timeouts=limits) as service:
            assert service.llm.transport().tls.check_hostname  # loaded before the clock runs
            error = await failing(service, model)
            found = await rows(service)
    assert isinstance(error, Timeout)
    assert "the TLS handshake was not finished within 0.2 s (connect deadline" in str(error)
    assert server.requests == []
    assert found == [("acme", "timeout")]  # what takes a connection and speaks no TLS does not mend itself


# F12: names


async def test_a_name_that_cannot_be_resolved_is_told_with_the_host(asking: Asking) -> None:
    model = asking.provider("acme", "https://nonexistent.invalid/v1")
    async with asking.open() as service:
        error = await failing(service, model)
    assert isinstance(error, Disconnected)
    assert "the name nonexistent.invalid cannot be resolved" in str(error)


# F13: a stale connection


async def test_a_connection_that_went_stale_is_replaced_unseen(asking: Asking) -> None:
    with FaultServer([Reply(headers=OK.headers, body=OK.body, framing="chunked", close=True), OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            first = await ask(service, model)
            await closed(server)
            second = await ask(service, model)
            found = await rows(service)
    assert [first.response, second.response] == ["Hello there"] * 2
    assert (len(server.requests), asking.waits) == (2, [])
    assert found == [("acme", "ok")] * 2
