"""Servers over HTTP that do what they should not."""

from __future__ import annotations

import json
import socket
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from canary import KEY

from mcp_llm.toolsets.http import _Bounded, _Wait
from mcp_llm.toolsets.lines import MOST_VALUES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("gzipbomb", "compressed ('gzip')"),
        ("bigjson", "bigger than 16 MiB"),
        ("bigchunked", "bigger than 16 MiB"),
        ("values", "too many values"),
        ("headers", "5003 headers"),
        ("reset", "cannot be reached"),
        ("truncated", "broke off"),
    ],
)
async def test_a_bad_answer_costs_one_call(
    mode: str, told: str, web: Callable[..., Any], opened: Callable[..., Any], meter: Callable[[], Any]
) -> None:
    async with meter() as cost, opened(web(mode)) as group:
        assert group.errors == {}
        started = time.monotonic()
        first = await group.call("s__work", {})
        second = await group.call("s__work", {})
        assert time.monotonic() - started < 5
    assert first.is_error
    assert second.is_error
    assert told in first.text
    assert told in second.text
    assert cost.stall < 0.25
    assert cost.growth < 48 * MIB


@pytest.mark.parametrize(
    ("which", "told"),
    [
        ("another", "work failed: what came back is no answer to the request"),
        ("a notification", "work failed: what came back is no answer to the request"),
        ("nothing", "work failed: what came back is no answer to the request"),
        ("a refusal", "work failed: the gateway is closed"),
        ("as words", "worked"),
    ],
)
async def test_what_comes_back_for_a_call_is_its_answer_or_an_error_at_once(
    which: str, told: str, web: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    with anyio.fail_after(60):
        async with opened(web("other-answers", call_timeout_s=600)) as group:
            assert (await group.call("s__work", {"which": which})).text == told


async def test_pings_do_not_hold_a_call_beyond_its_deadline(
    web: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    async with opened(web("pings", call_timeout_s=0.5)) as group:
        with anyio.fail_after(60):
            result = await group.call("s__work", {})
            assert "did not answer within 0.5 s" in result.text
            seen: list[str] = []
            with anyio.fail_after(30):
                while "closed" not in seen:
                    seen = json.loads((await group.call("s__work", {})).text)


async def test_a_list_of_two_mebibytes_in_one_event_is_read(
    web: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    async with opened(web("bigsse")) as group:
        assert len(await group.list()) == 500


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("401", "refuses our credentials (HTTP 401)"),
        ("503", "it answers HTTP 503"),
        ("html", "content type: text/html"),
    ],
)
async def test_a_server_that_cannot_be_used_says_why(
    mode: str, told: str, web: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    async with opened(web(mode)) as group:
        assert told in group.errors["s"]
        assert "\x1b" not in group.errors["s"]


async def test_a_redirect_to_another_origin_is_not_followed(
    web: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        elsewhere = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        async with opened(web("redirect", elsewhere, headers={"Authorization": "Bearer canary"})) as group:
            assert "not followed" in group.errors["s"]
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_secrets_are_not_mirrored_into_headers(web: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(web("mcp-header")) as group:
        assert group.errors == {}
        result = await group.call("s__work", {"api_key": KEY, "region": "north"})
    assert json.loads(result.text) == {"mcp-param-region": "north"}


async def test_a_session_that_is_gone_is_opened_again(web: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(web("gone")) as group:
        first = await group.call("s__work", {})
        second = await group.call("s__work", {})
    assert "may have taken effect" in first.text
    assert (second.text, second.is_error) == ("worked", False)


async def test_headers_come_from_the_settings_and_nothing_is_compressed(
    web: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    given = {"Authorization": "Bearer ${OPENAI_API_KEY}", "X-Plain": "${LANG}"}
    async with opened(web("headers-seen", headers=given)) as group:
        sent = json.loads((await group.call("s__work", {})).text)
    assert (sent["authorization"], sent["x-plain"]) == ("Bearer ***", "C.UTF-8")  # it came, and does not come back
    assert sent["accept-encoding"] == "identity"
    assert "cookie" not in sent


async def test_a_stream_that_breaks_off_again_and_again_is_not_chased(
    web: Callable[..., Any], opened: Callable[..., Any], meter: Callable[[], Any]
) -> None:
    async with meter() as cost, opened(web("getflood")) as group:
        await anyio.sleep(0.5)
        assert (await group.call("s__work", {})).text == "worked"
    assert cost.stall < 0.25


async def test_each_call_may_break_off_however_many_there_were_before(
    web: Callable[..., Any], opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_llm.toolsets.http._MOST_RESUMED", 2)
    with anyio.fail_after(60):
        async with opened(web("resumes")) as group:
            assert [(await group.call("s__work", {})).text for _ in range(4)] == ["worked"] * 4


async def test_a_call_that_breaks_off_without_end_is_given_up_also_beside_others(
    web: Callable[..., Any], opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_llm.toolsets.http._MOST_RESUMED", 2)
    with anyio.fail_after(60):
        async with opened(web("resumes-for-ever", call_timeout_s=30)) as group, anyio.create_task_group() as tasks:

            async def others() -> None:
                while True:
                    assert not (await group.call("s__read", {})).is_error
                    await anyio.sleep(0.05)

            tasks.start_soon(others)
            given_up = await group.call("s__work", {})
            seen = json.loads((await group.call("s__read", {})).text)
            tasks.cancel_scope.cancel()
    assert "attempts were exhausted" in given_up.text
    assert len([words for words in seen if words.startswith("resumed")]) == 2


async def test_a_call_that_nobody_waits_for_any_more_is_not_taken_up_again(
    web: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    with anyio.fail_after(60):
        async with opened(web("resumes-for-ever", call_timeout_s=2.5)) as group:
            for _ in range(2):
                assert "did not answer within 2.5 s" in (await group.call("s__work", {})).text
            seen = json.loads((await group.call("s__read", {})).text)
    first = next(words for words in seen if words.startswith("resumed"))
    assert seen[seen.index("notifications/cancelled") :].count(first) <= 1  # one may have been on its way


class Pieces(httpx2.AsyncByteStream):
    """Events whose blank lines come in two pieces, or an event that does not end."""

    def __init__(self, end: bytes) -> None:
        self._end = end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        half = len(self._end) // 2
        for _ in range(5):
            yield b"data: [" + b"0," * (MOST_VALUES // 3) + b"0]" + self._end[:half]
            yield self._end[half:]


@pytest.mark.parametrize(("end", "refused"), [(b"\n\n", False), (b"\r\n\r\n", False), (b"\n:", True)])
async def test_values_are_counted_by_event_however_the_pieces_are_cut(end: bytes, refused: bool) -> None:
    bounded = _Bounded(Pieces(end), None, True, _Wait())
    with pytest.raises(httpx2.StreamError) if refused else nullcontext():
        assert len([piece async for piece in bounded]) == 10


async def test_a_server_that_does_not_say_goodbye_is_left(web: Callable[..., Any], opened: Callable[..., Any]) -> None:
    started = time.monotonic()
    async with opened(web("hangdelete")) as group:
        assert group.errors == {}
    assert time.monotonic() - started < 4


async def test_a_url_that_is_none_is_named(opened: Callable[..., Any]) -> None:
    from mcp_llm.settings import Server

    for url in ("ftp://x/y", "http://", "no url", "http://[::1"):
        async with opened(Server(url=url)) as group:
            assert "url" in group.errors["s"]
