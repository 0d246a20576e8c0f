"""What a provider may answer over HTTP, line by line of the corpus: statuses, waits, bodies, sizes, redirects, keys.

Waits are noted, not waited for. Requests are counted at the provider.
"""

from __future__ import annotations

import json
import logging
import math
import re
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest
from abuse.corpus import case
from abuse.upstream import OK, Told, play, replies, script
from faults.asking import CANARY, failing, rows
from faults.memory import needs_linux, peak_since
from faults.replies import bomb, ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import (
    AuthError,
    ContextTooLong,
    Disconnected,
    Garbled,
    NotFound,
    Overloaded,
    ProviderError,
    RateLimited,
    TooLarge,
)
from mcp_llm.llm.generate import Ask, generate

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio

LONG: dict[str, Any] = {"timeouts": {"connect": 2, "first_byte": 10, "idle": 10, "total": 60}}
"""For what is large: a busy machine may take its time."""
PYTHONS_OWN = ("KeyError", "IndexError", "RecursionError", "ValueError", "UnicodeDecodeError", "Traceback", "NoneType")


def plain(error: ProviderError) -> ProviderError:
    """The error, which tells nothing of Python's."""
    assert [word for word in PYTHONS_OWN if word in str(error)] == []
    return error


# Rate limits


@pytest.mark.parametrize("luck", [0.0, 0.999])
async def test_uph_001_a_wait_that_is_asked_for_is_waited_and_told(asking: Asking, luck: float) -> None:
    told = Told()
    asking.luck = luck
    with FaultServer(script("UPH-001")) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await generate(service, Ask("hi", model), progress=told)
    assert (answer.response, len(server.requests)) == ("Hello there", 2)
    assert len(asking.waits) == 1
    assert 2 <= asking.waits[0] <= 2 * 1.25
    assert told.notes == ["acme: rate_limited, waiting 2 s"]


@pytest.mark.parametrize("luck", [0.2, 1.0])
@pytest.mark.parametrize("name", ["UPH-002", "UPH-004", "UPH-006", "UPH-010"])
async def test_a_rate_limit_without_a_usable_wait_is_backed_off(asking: Asking, name: str, luck: float) -> None:
    asking.luck = luck
    played = await play(asking, script(name), fails=True)
    assert played.failed(RateLimited).may_retry
    assert played.requests == 3
    assert played.rows == [("acme", "rate_limited")] * 3
    assert played.waits == [0.5 * luck, 1.0 * luck]  # full jitter: anything from nothing to the backoff
    assert all(map(math.isfinite, played.waits))


# Trouble


@pytest.mark.parametrize("name", ["UPH-013", "UPH-014", "UPH-018", "UPH-019"])
async def test_trouble_is_asked_again_and_then_asked_of_the_next(asking: Asking, name: str) -> None:
    mended = await play(asking, script(name))
    assert (mended.succeeded().response, mended.requests) == ("Hello there", 2)
    assert mended.rows == [("acme", "overloaded"), ("acme", "ok")]
    lasting = await play(asking, replies(name), backup=True)
    tries = 2 if "retried once" in case(name).expected else 3
    assert (lasting.succeeded().provider, lasting.requests, lasting.backup) == ("backup", tries, 1)
    assert lasting.rows == [*[("acme", "overloaded")] * tries, ("backup", "ok")]
    assert all(0 < wait <= 8 for wait in lasting.waits)


async def test_uph_030_a_page_of_a_gateway_is_trouble_and_not_shown(asking: Asking) -> None:
    played = await play(asking, script("UPH-030"), fails=True)
    error = played.failed(Overloaded)
    assert (error.status, played.requests) == (502, 3)
    assert str(error).startswith("acme:m HTTP 502: no explanation was given; the reply is an HTML page (tried: ")
    assert "xxx" not in str(error)
    titled = Reply(502, {}, b"<!DOCTYPE html>\n<html lang=en><title> 502: Bad\x1b gateway</title><p>Ray ID: 1")
    assert "the reply is an HTML page: '502: Bad\\\\x1b gateway'" in str(
        (await play(asking, [titled], fails=True)).error
    )


# Refusals


@pytest.mark.parametrize(("name", "kind"), [("UPH-021", AuthError), ("UPH-024", NotFound), ("UPH-026", ContextTooLong)])
async def test_a_refusal_costs_one_request_and_keeps_the_providers_words(
    asking: Asking, name: str, kind: type[ProviderError]
) -> None:
    played = await play(asking, script(name), fails=True, backup=True)
    error = played.failed(kind)
    assert str(error).startswith(f"acme:m HTTP {error.status}: bad thing")
    assert (played.requests, played.backup, played.rows) == (1, 0, [("acme", kind.kind)])
    words = f"\x1b[2J {CANARY} \u202e " + "\U0001f600 " * 3000
    (said,) = script(name)
    long = Reply(said.status, said.headers, json.dumps({"error": {"message": words}}).encode())
    shown = (await play(asking, [long], fails=True)).failed(kind)
    kept = re.split(r"\. (?=The key is |`list_models` |Send less)", str(shown))[0].removeprefix(
        f"acme:m HTTP {error.status}: "
    )
    assert kept.startswith("\\x1b[2J *** \\u202e \U0001f600 ")
    assert 400 <= len(kept) <= 500


@pytest.mark.parametrize("around", [b"%b", b'Incorrect key: "%b"', b"x" * 185 + b" %b", b"<p>" + b"y" * 183 + b"%b"])
async def test_uph_043_a_key_that_the_provider_echoes_is_nowhere(
    asking: Asking, around: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (said,) = script("UPH-043")
    assert CANARY.encode() in said.body
    for body in (said.body, around % CANARY.encode()):
        with FaultServer([Reply(said.status, said.headers, body)]) as server:
            model = asking.provider("acme", server.url)
            async with asking.open() as service:  # which looks into the database when it ends
                error = await failing(service, model)  # which looks into the traceback
                kept = await service.runs.store.query("SELECT result FROM runs")
        for text in (str(error), repr(error.__dict__), str(kept), caplog.text):
            assert CANARY[:10] not in text
        assert "***" in str(error)
        assert len(server.requests) == 1


# Good statuses that hold no answer


async def test_uph_028_an_error_under_a_good_status_is_that_error(asking: Asking) -> None:
    played = await play(asking, script("UPH-028"), fails=True)
    assert str(played.failed(Overloaded)).startswith("acme:m: Overloaded")
    assert played.rows == [("acme", "overloaded")] * 3
    assert (await play(asking, script("UPH-028"), backup=True)).succeeded().provider == "backup"


async def test_uph_031_right_json_under_a_wrong_type_is_read(asking: Asking) -> None:
    played = await play(asking, script("UPH-031"))
    assert (played.succeeded().response, played.requests) == ("Hello there", 1)


@pytest.mark.parametrize("body", [None, b"[]", b"1", b"null", b'{"choices":null}', b'{"choices":[null]}'])
async def test_uph_033_json_of_another_shape_is_garbled(asking: Asking, body: bytes | None) -> None:
    played = await play(asking, script("UPH-033") if body is None else [Reply(body=body)], fails=True)
    plain(played.failed(Garbled))
    assert (played.requests, played.rows) == (1, [("acme", "garbled")])


async def test_uph_034_json_that_is_cut_is_asked_for_again(asking: Asking) -> None:
    cut = script("UPH-034")
    mended = await play(asking, [*cut, OK])
    assert (mended.succeeded().response, mended.rows) == ("Hello there", [("acme", "disconnected"), ("acme", "ok")])
    lasting = await play(asking, cut, fails=True)
    assert lasting.failed(Disconnected).partial is None
    assert lasting.requests == 3


@pytest.mark.parametrize("beside", [None, f'"created":{"9" * 5000}', f'"created":-{"9" * 5000}'])
async def test_uph_035_json_nested_or_counted_without_end_is_garbled(asking: Asking, beside: str | None) -> None:
    said = script("UPH-035")
    if beside is not None:
        said = [Reply(body=ok("openai").body.replace(b'{"id"', f'{{{beside},"id"'.encode(), 1))]
    played = await play(asking, said, fails=True)
    plain(played.failed(Garbled))
    assert played.requests == 1


@pytest.mark.parametrize("beside", ['"model":"x"', '"logprobs":NaN', '"logprobs":-Infinity'])
async def test_uph_035_what_is_no_good_json_beside_an_answer_does_not_cost_the_answer(
    asking: Asking, beside: str
) -> None:
    """Duplicate keys and NaN are no JSON to be proud of, but servers do send NaN among their logprobs: where the answer
    is plain to see it was paid for, and to refuse it would lose it. None of them reaches what we say.
    """
    body = ok("openai").body.replace(b'{"id"', f'{{{beside},"id"'.encode(), 1)
    answer = (await play(asking, [Reply(body=body)])).succeeded()
    assert answer.response == "Hello there"
    assert "NaN" not in answer.model_dump_json()
    for number in ("NaN", "-Infinity", "1e999", "-5"):
        counted = ok("openai").body.replace(b'"prompt_tokens":3', f'"prompt_tokens":{number}'.encode())
        usage = (await play(asking, [Reply(body=counted)])).succeeded().usage
        assert usage.input is None or 0 <= usage.input < 10**6


# Sizes


@needs_linux
@pytest.mark.parametrize(
    ("name", "coding", "kind"),
    [
        ("UPH-038", None, TooLarge),
        ("UPH-039", None, Garbled),
        ("UPH-039", "deflate", TooLarge),
        ("UPH-039", "br", Garbled),
        ("UPH-039", "zstd", Garbled),
    ],
)
async def test_a_bomb_is_stopped_before_it_is_in_memory(
    asking: Asking, name: str, coding: str | None, kind: type[Exception]
) -> None:
    """Codings that nobody asked for and that we do not undo are refused from the header: they cost nothing at all."""
    (said,) = script(name)
    if coding is not None:
        said = Reply(headers={"content-encoding": coding}, body=bomb(500, 15) if coding == "deflate" else said.body)
    with FaultServer([said]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(**LONG) as service:
            before = peak_since(mark=True)
            error = await failing(service, model)
            grown = peak_since() - before
            await anyio.to_thread.run_sync(server.wait_closed)
    assert type(error) is kind
    assert "32 MiB" in str(error) if kind is TooLarge else "which was not asked for" in str(error)
    assert len(server.requests) == 1
    assert grown < 64


@needs_linux
async def test_uph_040_a_length_of_ten_tebibytes_is_refused_from_the_header(asking: Asking) -> None:
    with FaultServer(script("UPH-040")) as server:  # it never sends a byte of it: only the header can have told
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            before = peak_since(mark=True)
            error = await failing(service, model)
            grown = peak_since() - before
            await anyio.to_thread.run_sync(server.wait_closed)
    assert type(error) is TooLarge
    assert grown < 8


async def test_uph_041_headers_without_end_are_garbled_and_the_connection_closed(asking: Asking) -> None:
    with FaultServer(script("UPH-041"), send_buffer=32 * 1024) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model)
            await anyio.to_thread.run_sync(server.wait_closed)
            found = await rows(service)
    assert type(error) is Garbled
    assert "too many bytes of headers" in str(error)
    assert found == [("acme", "garbled")]


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_uph_047_no_redirect_takes_the_key_or_the_prompt_along(asking: Asking, status: int) -> None:
    (said,) = script("UPH-047")
    secrets = "".join(f'{name} = "{{key}}"\n' for name in ("Authorization", "x-api-key", "api-key", "x-goog-api-key"))
    with FaultServer([OK], host="127.0.0.2") as thief:
        location = said.headers["location"].replace(":9/", f":{thief.port}/")
        with FaultServer([Reply(status, {"location": location})]) as server:
            model = asking.provider("acme", server.url, f"[auth.headers]\n{secrets}")
            async with asking.open() as service:
                error = await failing(service, model)
        assert (thief.connections, thief.requests) == (0, [])
    assert {server.requests[0].headers[name] for name in ("authorization", "x-api-key", "api-key")} == {CANARY}
    assert str(error).endswith("127.0.0.1 redirects to '127.0.0.2', which is never followed; correct the base URL")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (None, "redirects to its own '/v1/chat/completions/'"),
        ("/elsewhere?key=1", "redirects to its own '/elsewhere',"),
        ("", "redirects without saying where to"),
        ("http://[", "redirects without saying where to"),
        ("/\x81" + "x" * 5000, "redirects to its own '/\\x81xxx"),
    ],
)
async def test_uph_049_a_redirect_to_the_same_place_names_the_path_that_is_meant(
    asking: Asking, location: str | None, words: str
) -> None:
    """It may be followed; it is not, since whoever sets a base URL sets it once, and each call would pay for the way
    about. What is to be set is named instead.
    """
    (said,) = script("UPH-049")
    if location is not None:
        said = Reply(said.status, {"location": location})
    played = await play(asking, [said], fails=True)
    assert words in str(played.failed(Disconnected))
    assert (played.requests, played.rows) == (1, [("acme", "disconnected")])
    assert (await play(asking, [said], backup=True)).succeeded().provider == "backup"
