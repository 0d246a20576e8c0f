"""Signing in at remote servers: once, by a person, for every process after."""

from __future__ import annotations

import json
import math
import socket
import stat
import struct
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import anyio
import anyio.to_thread
import httpx2
import pytest
from pydantic import ValidationError

from mcp_llm.errors import InvalidInput, ToolFailed
from mcp_llm.settings import Server, SignIn
from mcp_llm.toolsets.connect import open_servers, signed_in_file
from mcp_llm.toolsets.http import told
from mcp_llm.toolsets.loopback import shell
from mcp_llm.toolsets.oauth import signer
from mcp_llm.toolsets.signed import NEARER, Signed, _usable

from .authority import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mcp_llm.toolsets.compose import Group

pytestmark = pytest.mark.anyio


@pytest.fixture
def authority() -> Iterator[Authority]:
    with Authority() as found:
        yield found


def visit(url: str) -> bool:
    """What a browser does: it goes where it is sent, to the end."""
    with urlopen(url, timeout=10) as page:
        return b"You are signed in" in page.read()


@asynccontextmanager
async def opened(url: str, folder: Path | None, **more: Any) -> AsyncIterator[Group]:
    with anyio.fail_after(30):
        async with open_servers(["r"], {"r": Server(url=url)}, lambda _: None, signed_in=folder, **more) as group:
            yield group


async def signed_in(authority: Authority, folder: Path) -> str:
    seen: list[str] = []
    async with shell(None, seen.append, visit) as person, opened(authority.url, folder, person=person) as group:
        assert group.errors == {}
        return await asked(group)


async def asked(group: Group) -> str:
    result: Any = await group.call("r__who", {})
    return str(result.parts[0].text)


async def test_a_person_signs_in_once_and_the_next_process_is_signed_in(authority: Authority, tmp_path: Path) -> None:
    first = await signed_in(authority, tmp_path / "oauth")
    async with opened(authority.url, tmp_path / "oauth") as group:
        second = await asked(group)
    (file,) = (tmp_path / "oauth").iterdir()
    assert (first, second, authority.asked) == (
        "you have 1: ***",
        "you have 1: ***",
        ["authorization_code"],
    )
    assert file == signed_in_file(tmp_path / "oauth", "r", authority.url)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]


async def test_a_token_that_is_over_is_refreshed_where_it_came_from_and_kept(
    authority: Authority, tmp_path: Path
) -> None:
    await signed_in(authority, tmp_path)
    file = signed_in_file(tmp_path, "r", authority.url)
    file.write_text(json.dumps({**json.loads(file.read_text()), "expires": time.time() - 1}))
    async with opened(authority.url, tmp_path) as group:
        refreshed = await asked(group)
    kept = json.loads(file.read_text())["tokens"]
    assert (refreshed, authority.asked) == ("you have 2: ***", ["authorization_code", "refresh_token"])
    assert (kept["access_token"], kept["refresh_token"]) == ("access-2", "refresh-2")


@pytest.mark.parametrize("expires", ["soon", True, [1], {}, 1e400, -1e400, 10**400])
async def test_a_kept_time_that_is_none_counts_as_over(expires: Any, authority: Authority, tmp_path: Path) -> None:
    await signed_in(authority, tmp_path)
    file = signed_in_file(tmp_path, "r", authority.url)
    kept = {**json.loads(file.read_text()), "expires": expires}
    file.write_text(json.dumps(kept))
    async with opened(authority.url, tmp_path) as group:
        assert (await asked(group), group.errors) == ("you have 2: ***", {})


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        *((odd, {}) for odd in (0, -5, -0.0, -1e308, 10**400, -(10**400), math.nan, -math.inf, True, None)),
        *((odd, {}) for odd in ("", "soon", "-1", "nan", "0x10")),
        ([], {}),
        ([3600], {}),
        ({}, {}),
        *((high, {"expires_in": 10**11}) for high in (1e308, math.inf, "9" * 400)),
        *((low, {"expires_in": 1}) for low in (1, 0.5, "1")),
        *((hour, {"expires_in": 3600}) for hour in (3600, 3599.5, "3600", "3.6e3")),
    ],
)
def test_seconds_that_are_none_count_as_not_said(said: Any, taken: dict[str, Any]) -> None:
    token = {"access_token": "a", "scope": "tools"}
    there = httpx2.Response(200, json={}, request=httpx2.Request("POST", "https://auth.example.com/token"))
    there._content = json.dumps({**token, "expires_in": said}).encode()  # httpx itself would not write NaN
    assert _usable(there).json() == token | taken


@pytest.mark.parametrize("content", [b"", b"[" * 5000, b"<html>", b'{"error": "invalid_grant"}', b"[1]", b"\xff"])
def test_what_is_no_token_is_left_as_it_is(content: bytes) -> None:
    there = httpx2.Response(400, content=content)
    assert _usable(there) is there


@pytest.mark.parametrize("said", [0, -5, 1e308, math.nan, 3599.5, True, "soon"])
async def test_a_token_is_used_whatever_is_said_of_how_long_it_lasts(
    said: Any, authority: Authority, tmp_path: Path
) -> None:
    authority.odd = {"expires_in": said}
    first = await signed_in(authority, tmp_path)
    async with opened(authority.url, tmp_path) as group:
        second = await asked(group)
    assert (first, second, authority.asked) == ("you have 1: ***", "you have 1: ***", ["authorization_code"])


async def test_a_token_of_which_nobody_says_how_long_it_lasts_is_used_until_it_is_refused(
    authority: Authority, tmp_path: Path
) -> None:
    authority.odd = {"expires_in": 0, "refresh_token": None}
    await signed_in(authority, tmp_path)
    async with opened(authority.url, tmp_path) as group:
        assert [await asked(group), await asked(group)] == ["you have 1: ***"] * 2
        authority.valid.clear()
        assert "somebody has to sign in" in await asked(group)
    assert authority.asked == ["authorization_code"]


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ({"access_token": "caf\xe9"}, "signing in failed"),
        ({"access_token": ["a"]}, "signing in failed"),
        ({"access_token": "a\nb: c"}, "is not available"),
        ({"access_token": "a" * 20_000}, "signing in failed"),
        ({"token_type": 7}, "signing in failed"),
        ({"scope": {"a": 1}}, "signing in failed"),
        ({"refresh_token": 5}, "signing in failed"),
    ],
)
async def test_an_odd_field_of_a_token_is_told_and_ends_nothing(
    odd: dict[str, Any], told: str, authority: Authority, tmp_path: Path
) -> None:
    authority.odd = odd
    async with shell(None, lambda _: None, visit) as person, opened(authority.url, tmp_path, person=person) as group:
        assert told in group.errors["r"]
        assert "Traceback" not in group.errors["r"]


async def test_calls_of_who_is_signed_in_do_not_wait_for_each_other(authority: Authority, tmp_path: Path) -> None:
    await signed_in(authority, tmp_path)
    authority.together = threading.Barrier(2)
    said: list[str] = []

    async def ask(group: Group) -> None:
        said.append(await asked(group))

    async with opened(authority.url, tmp_path) as group, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, group)
        tasks.start_soon(ask, group)
    assert said == ["you have 1: ***", "you have 1: ***"]


async def test_a_refresh_that_another_process_has_made_already_is_taken_over(
    authority: Authority, tmp_path: Path
) -> None:
    await signed_in(authority, tmp_path)
    file = signed_in_file(tmp_path, "r", authority.url)
    old = {**json.loads(file.read_text()), "expires": time.time() - 1}
    server = signer("r", authority.url, SignIn(), None, None, file, None)
    file.write_text(json.dumps(old))
    await server._initialize()  # this process has read the old ones
    async with opened(authority.url, tmp_path) as group:  # the other one is faster
        await asked(group)
    inner = httpx2.AsyncHTTPTransport(trust_env=False)
    async with httpx2.AsyncClient(transport=Signed(inner, server, told), trust_env=False) as client:
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {}}
        answer = (await client.post(authority.url, json=call)).json()
    assert answer["result"]["content"][0]["text"] == "you have 2: access-2"  # below what takes it out
    assert authority.asked == ["authorization_code", "refresh_token", "refresh_token"]


async def test_who_has_not_signed_in_is_told_how(authority: Authority, tmp_path: Path) -> None:
    server = Server(url=authority.url, oauth=SignIn())
    async with open_servers(["r"], {"r": server}, lambda _: None, signed_in=tmp_path) as group:
        words = group.errors["r"]
    assert "signing in failed: somebody has to sign in: `mcp-llm servers login r`" in words
    assert authority.valid == set()


def test_another_url_or_name_is_another_sign_in(tmp_path: Path) -> None:
    files = {signed_in_file(tmp_path, *one) for one in (("r", "https://a/"), ("r", "https://b/"), ("s", "https://a/"))}
    assert len(files) == 3


async def test_without_oauth_a_server_that_wants_it_says_so(authority: Authority) -> None:
    async with opened(authority.url, None) as group:
        assert "or `mcp-llm servers login`" in group.errors["r"]


class Leading(httpx2.AsyncBaseTransport):
    """A remote server that leads to somewhere else to sign in."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(str(request.url))
        challenge = {"www-authenticate": f'Bearer resource_metadata="{self.where}"'}
        return httpx2.Response(401, headers=challenge, request=request)


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("http://127.0.0.1:9/metadata", "it wants us to sign in at an address on this machine"),
        ("https://localhost:9/metadata", "it wants us to sign in at an address on this machine"),
        ("http://auth.example.com/metadata", "it wants us to sign in without TLS"),
        *(
            (
                f"https://{host}/metadata",
                NEARER,
            )
            for host in ("10.0.0.5", "169.254.169.254", "[fd00::1]", "[::ffff:192.168.1.1]", "100.64.0.1")
        ),
    ],
)
async def test_a_remote_server_leads_neither_to_this_network_nor_to_plain_text(where: str, why: str) -> None:
    url = "https://9.9.9.9/mcp"
    inner = Leading(where)
    transport = Signed(inner, signer("r", url, SignIn(), None, None, None, None), told)
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        answer = await client.post(url, json={})
    assert answer.json()["error"]["message"] == f"signing in failed: {why}"
    assert inner.asked == [url]


async def test_a_name_that_means_another_place_once_it_was_looked_at_is_left_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[bytes] = []
    looked: list[str] = []
    real = socket.getaddrinfo

    def resolved(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host not in {"moving.example", b"moving.example"}:
            return real(host, port, *more, **named)
        looked.append("9.9.9.9" if not looked else "127.0.0.1")
        return real(looked[-1], port, *more, **named)

    class Moving(Leading):
        """Whose other requests go over real connections."""

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.host == "9.9.9.9":
                return await super().handle_async_request(request)
            return await network.handle_async_request(request)

    async def hear(stream: Any) -> None:
        async with stream:
            try:
                while True:
                    heard.append(await stream.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                heard.append(b"")

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    url = "https://9.9.9.9/mcp"
    listener: Any = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with (
        listener,
        anyio.create_task_group() as tasks,
        httpx2.AsyncHTTPTransport(trust_env=False) as network,
        httpx2.AsyncClient(
            transport=Signed(
                Moving(f"https://moving.example:{port}/metadata"),
                signer("r", url, SignIn(), None, None, None, None),
                told,
            ),
            trust_env=False,
        ) as client,
    ):
        tasks.start_soon(listener.serve, hear)
        with anyio.fail_after(20):
            answer = await client.post(url, json={})
            while not heard:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert answer.json()["error"]["message"] == f"signing in failed: {NEARER}"
    assert looked[1:]
    assert heard == [b""]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"client_id": "a", "client_secret": "spelled-out"}, "has to be a variable"),
        ({"client_secret": "${S}"}, "needs its `client_id`"),
        ({"grant": "client_credentials", "client_id": "a", "client_secret": "${S}"}, "needs `client_id`, `issuer`"),
        ({"grant": "client_credentials", "client_id": "a", "issuer": "https://i"}, "`client_secret` or `private_key`"),
    ],
)
def test_settings_that_would_leak_a_secret_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        SignIn.model_validate(fields)
    with pytest.raises(ValidationError, match="`oauth` is for servers with a `url`"):
        Server(command="x", oauth=SignIn())


async def test_a_refusal_is_told_in_our_words_and_not_in_the_pages() -> None:
    async with shell(None, lambda _: None, lambda _: True) as person:
        await person.show("https://issuer.invalid/authorize?state=s")
        url = f"{person.redirect}?error=access_denied&error_description=call+this&iss=https%3A%2F%2Felsewhere&state=s"
        await anyio.to_thread.run_sync(lambda: urlopen(url, timeout=5).close())
        with pytest.raises(ToolFailed) as caught:
            await person.answer()
    assert str(caught.value) == "the browser came back with a no: it was refused there, or that server could not do it"


async def test_without_pkce_nobody_is_sent_anywhere(authority: Authority, tmp_path: Path) -> None:
    authority.challenges = None
    sent: list[str] = []
    async with shell(None, sent.append, visit) as person, opened(authority.url, tmp_path, person=person) as group:
        words = group.errors["r"]
    assert "does not say that it supports PKCE with S256" in words
    assert (sent, authority.asked) == ([], [])


STRANGERS = ("code=x", "code=x&state=", "error=access_denied", "error=access_denied&state=t")
"""What a page, or another program of this machine, may send to end the wait of a sign-in that is not its own."""


async def test_the_loopback_address_hears_one_answer_and_nothing_else() -> None:
    def get(url: str) -> tuple[int, str]:
        try:
            with urlopen(url, timeout=5) as page:
                return page.status, page.read().decode()
        except OSError as error:
            return getattr(error, "code", 0), ""

    async with shell(None, lambda _: None, lambda _: True) as person:
        root = person.redirect.removesuffix("/callback")
        early = await anyio.to_thread.run_sync(get, f"{person.redirect}?code=x&state=")
        await person.show("https://issuer.invalid/authorize?state=s")
        paths = ("/", "/callback", "/callback/?code=x&state=s", *(f"/callback?{query}" for query in STRANGERS))
        wrong = [early, *[await anyio.to_thread.run_sync(get, f"{root}{path}") for path in paths]]
        right = await anyio.to_thread.run_sync(get, f"{person.redirect}?code=c&state=s&iss=https%3A%2F%2Fi")
        await anyio.to_thread.run_sync(get, f"{person.redirect}?code=late&state=s")
        answer = await person.answer()
        with pytest.raises(InvalidInput, match="is taken"):
            async with shell(int(root.rpartition(":")[2]), lambda _: None, lambda _: True):
                pass
    assert [status for status, _ in wrong] == [404] * 8
    assert (right[0], "You are signed in." in right[1]) == (200, True)
    assert (answer.code, answer.state, answer.iss) == ("c", "s", "https://i")


@pytest.mark.parametrize("said", [b"GET //[ HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"GET"])
async def test_nothing_that_comes_to_the_loopback_address_ends_the_wait(said: bytes) -> None:
    async with shell(None, lambda _: None, lambda _: True) as person:
        await person.show("https://issuer.invalid/authorize?state=s")
        port = int(person.redirect.partition("127.0.0.1:")[2].partition("/")[0])
        for resets in (False, True):
            with socket.create_connection(("127.0.0.1", port)) as stranger:
                stranger.sendall(said)
                if resets:  # as it closes, and before it was answered
                    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await anyio.to_thread.run_sync(visit, f"{person.redirect}?code=c&state=s")
        assert (await person.answer()).code == "c"
