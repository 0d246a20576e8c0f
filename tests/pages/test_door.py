"""Who comes in and who does not, over real connections to `mcp-llm ui`: other pages, other programs, other hosts."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from pages.browsing import Pages, Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Reply = tuple[int, dict[str, str], Any]

PAGES = ("/", "/run?id=x", "/compare", "/usage", "/settings")
READS = ("/api/runs", "/api/runs/x", "/api/usage", "/api/settings")
WRITES = (
    "/api/runs/x/cancel",
    "/api/runs/x/resume",
    "/api/runs/x/answer",
    "/api/compare",
    "/api/settings",
    "/api/keys",
    "/api/check",
)
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    found = Pages(MCP_LLM_HOME=str(tmp_path_factory.mktemp("home")))
    yield found
    assert "Traceback" not in found.end()


def ask(ui: Pages, method: str, path: str, headers: Mapping[str, str] | None = None, body: Any = None) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(ui.base).netloc, timeout=30)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, data, dict(headers or {}))
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    shown = {name.lower(): value for name, value in reply.getheaders()}
    return reply.status, shown, json.loads(text) if shown["content-type"] == "application/json" else text


@pytest.fixture(scope="module")
def token(ui: Pages) -> dict[str, str]:
    """Headers of the one who has come in."""
    status, _, body = ask(ui, "POST", "/api/enter", JSON, {"code": ui.address.partition("#")[2]})
    assert status == 200
    return {"authorization": f"Bearer {body['token']}"}


@pytest.mark.parametrize("path", [*PAGES, *READS, "/nothing"])
def test_every_answer_forbids_keeping_framing_guessing_and_sharing(ui: Pages, path: str) -> None:
    _, headers, _ = ask(ui, "GET", path)
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert not [name for name in headers if name.startswith("access-control")]
    assert "server" not in headers


@pytest.mark.parametrize("path", PAGES)
def test_pages_hold_no_data_and_name_no_other_place(ui: Pages, path: str) -> None:
    status, headers, text = ask(ui, "GET", path)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "innerHTML" not in text
    assert not [word for word in ("http:", "https:", "//cdn") if f'src="{word}' in text or f'href="{word}' in text]


@pytest.mark.parametrize("path", READS)
def test_nothing_is_told_without_the_token(ui: Pages, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": ""}, {"cookie": "token=x"}):
        status, _, body = ask(ui, "GET", path, headers)
        assert (status, set(body)) == (401, {"error"})


@pytest.mark.parametrize("path", WRITES)
def test_nothing_is_changed_without_the_token_or_by_a_form(ui: Pages, token: dict[str, str], path: str) -> None:
    assert ask(ui, "POST", path, JSON, {})[0] == 401
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert ask(ui, "POST", path, {**token, **form}, b"a=b")[0] == 415
    assert ask(ui, "POST", path, {**token, "content-type": "text/plain"}, b"{}")[0] == 415
    assert ask(ui, "GET", path, token)[0] in {200, 405}


@pytest.mark.parametrize("path", [*PAGES, *READS])
def test_other_hosts_and_origins_are_turned_away_even_with_the_token(
    ui: Pages, token: dict[str, str], path: str
) -> None:
    port = urlsplit(ui.base).port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", f"192.168.1.2:{port}"):
        assert ask(ui, "GET", path, {**token, "host": host})[0] == 421
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", f"http://evil.example:{port}"):
        assert ask(ui, "GET", path, {**token, "origin": origin})[0] == 403
    assert ask(ui, "GET", path, {**token, "origin": ui.base})[0] in {200, 400}
    assert ask(ui, "GET", path, {**token, "host": f"localhost:{port}"})[0] in {200, 400}


def test_the_code_works_once_and_no_other_does(ui: Pages, token: dict[str, str]) -> None:
    assert ask(ui, "GET", "/api/runs", token)[0] == 200
    for code in (ui.address.partition("#")[2], "", None, 7, "x" * 100_000):
        status, _, body = ask(ui, "POST", "/api/enter", JSON, {"code": code})
        assert (status, set(body)) == (401, {"error"})


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"[" * 100_000, b'{"a":' + b" " * 300_000 + b"1}"])
def test_a_body_that_is_no_object_is_refused_in_words(ui: Pages, token: dict[str, str], body: bytes) -> None:
    status, _, told = ask(ui, "POST", "/api/settings", {**token, **JSON}, body)
    assert status == 400
    assert "JSON object" in told["error"] or "KiB" in told["error"]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/api/keys", {"provider": "groq", "name": "PATH", "value": "x"}, "PATH is no variable of groq"),
        ("/api/keys", {"provider": "nobody", "name": "A_API_KEY", "value": "x"}, "nobody"),
        ("/api/keys", {"provider": "groq", "name": "GROQ_API_KEY", "value": "a\nMCP_LLM_HOME=/"}, "white space"),
        ("/api/keys", {"provider": "groq", "name": "GROQ_API_KEY", "value": 7}, "say which"),
        ("/api/check", {"provider": None}, "say which"),
        ("/api/settings", {"budget": {"day_usd": "much"}}, "budget.day_usd"),
        ("/api/settings", {"tiers": {"pro": ["x"]}}, "tiers.pro"),
        ("/api/settings", {"contexts": [{"name": "x", "model": 7}]}, "contexts.x"),
        ("/api/compare", {"prompt": "x"}, "`models` is missing"),
        ("/api/compare", {"prompt": "x", "models": ["demo"]}, "a comparison takes 2 to 16"),
        ("/api/compare", {"prompt": "x", "models": "demo"}, "models"),
        ("/api/compare", {"prompt": "x", "models": ["demo", "demo:b"], "files": ["/etc/passwd"]}, "no field `files`"),
        ("/api/runs/x/answer", {}, "`answer` is missing"),
        ("/api/runs/x/cancel", {}, "there is no run 'x'"),
    ],
)
def test_a_mistake_is_told_in_words(ui: Pages, token: dict[str, str], path: str, body: Any, words: str) -> None:
    status, _, told = ask(ui, "POST", path, {**token, **JSON}, body)
    assert (status, words in told["error"]) == (400, True), told


@pytest.mark.parametrize("query", ["?after=x", "?after=a.b.c", "?wait=nan", "?wait=1e9", "?after=" + "~" * 2000])
def test_an_odd_look_is_refused_or_ignored(ui: Pages, token: dict[str, str], query: str) -> None:
    status, _, told = ask(ui, "GET", "/api/runs/x" + query, token)
    assert (status, set(told)) == (400, {"error"})


def test_it_listens_to_this_machine_only(ui: Pages) -> None:
    port = urlsplit(ui.base).port
    assert port is not None
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as outside:
        outside.bind(("127.0.0.2", port))  # every other address is free: nobody listens to all of them


def test_a_port_that_is_taken_is_said(ui: Pages, tmp_path: Any) -> None:
    with pytest.raises(AssertionError, match="leave out --port"):
        Other(str(urlsplit(ui.base).port), MCP_LLM_HOME=str(tmp_path))


class Other(Pages):
    """On a port of one's own."""

    def __init__(self, port: str, **environment: str) -> None:
        super(Pages, self).__init__("-m", "mcp_llm", "ui", "--no-open", "--port", port, **environment)
        self.address = self.line()


def test_the_browser_of_the_users_choice_is_given_the_address(tmp_path: Path) -> None:
    script, given = tmp_path / "choice", tmp_path / "given"
    script.write_text(f'#!/bin/sh\necho "$1" > {given}.new && mv {given}.new {given}\n')
    script.chmod(0o755)
    found = Process("-m", "mcp_llm", "ui", MCP_LLM_HOME=str(tmp_path / "home"), BROWSER=str(script))
    address = found.line()
    for _ in range(600):
        if given.exists():
            break
        time.sleep(0.05)
    assert given.read_text().strip() == address
    found.end()


@pytest.mark.parametrize("code", ["", "x", "\ud800", 1, None, ["x"]])
def test_what_is_no_code_opens_nothing_and_breaks_nothing(ui: Pages, code: Any) -> None:
    assert ask(ui, "POST", "/api/enter", JSON, {"code": code})[0] == 401
