"""The guard: which hosts and origins come in, on any route of any application behind it."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_llm.server.http.guard import Guard

pytestmark = pytest.mark.anyio

ROUTES = ("/mcp", "/health", "/ready", "/nothing", "/.well-known/oauth-protected-resource/mcp")


async def nowhere(*_: Any) -> Any:
    raise AssertionError("the guard let it through")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST:8765", "[::1]:1", "box.lan:8080", "api.test:443"]
)
def test_this_machines_names_and_the_allowed_ones_come_in(host: str) -> None:
    assert Guard(nowhere, hosts=("Box.lan", "api.test:443")).host(host)


@pytest.mark.parametrize(
    "host",
    ["", "evil.com", "127.0.0.1.evil.com", "localhost.evil.com", "localhost@evil.com", "localhost:80:80", "evil.com#",
     "localhost/", "[::1", "127.0.0.2", "0.0.0.0", "2130706433", "api.test:444", "api.test:80443", "localhost:x",
     "localhost\x00", " localhost", "löcalhost", "[::ffff:127.0.0.1]"],
)  # fmt: skip
def test_any_other_host_stays_out(host: str) -> None:
    assert not Guard(nowhere, hosts=("box.lan", "api.test:443")).host(host)


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("http://localhost:8765", "localhost:8765", True),
        ("http://localhost", "localhost:80", True),
        ("https://box.lan", "box.lan", True),
        ("https://app.example.com", "box.lan", True),
        ("http://localhost:3000", "localhost:8765", False),
        ("http://evil.com", "localhost:8765", False),
        ("null", "localhost:8765", False),
        ("", "localhost:8765", False),
        ("file://", "localhost", False),
        ("http://localhost:8765.evil.com", "localhost:8765", False),
        ("https://app.example.com.evil.com", "box.lan", False),
        ("chrome-extension://abc", "localhost:8765", False),
    ],
)
def test_an_origin_is_the_host_that_was_asked_or_one_of_the_allowed(origin: str, host: str, allowed: bool) -> None:
    assert Guard(nowhere, origins=("https://app.example.com/",)).origin(origin, host) is allowed


@pytest.mark.parametrize("path", ROUTES)
async def test_hts_001_a_foreign_host_or_origin_is_refused_on_every_route(path: str, served: Any) -> None:
    async with served() as server:
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            foreign = await server.ask(path, method=method, host="evil.com")
            assert (foreign.status, foreign.headers["connection"]) == (421, "close")
            for origin in ("http://evil.com", "null", f"http://localhost:{server.port}"):
                answer = await server.ask(path, method=method, head=f"origin: {origin}\r\n")
                assert (answer.status, "access-control-allow-origin" in answer.headers) == (403, False)
        twice = await server.ask(path, head="host: 127.0.0.1\r\n")
        assert twice.status in {400, 421}
        own = await server.ask(path, head=f"origin: http://127.0.0.1:{server.port}\r\n")
        assert own.status not in {403, 421}


async def test_a_websocket_is_closed_and_never_reaches_the_application() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await Guard(nowhere)({"type": "websocket", "headers": [(b"host", b"localhost")]}, nowhere, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
