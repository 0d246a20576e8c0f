"""What a provider's refusals and troubles cost: attempts counted at the provider, waits, rows, who is asked next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from faults.asking import CANARY, ask, failing, rows
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import (
    AuthError,
    BadRequest,
    ContextTooLong,
    NotFound,
    Overloaded,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
)
from mcp_llm.llm.generate import Ask, generate
from mcp_llm.llm.progress import Progress

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)
TWO: dict[str, Any] = {"default": "acme:m", "fallbacks": ["backup:m"]}


def refused(status: int, headers: dict[str, str] | None = None, **error: Any) -> Reply:
    body = json.dumps({"error": {"message": "bad thing", **error}}).encode()
    return Reply(status=status, headers={"content-type": "application/json", **(headers or {})}, body=body)


# F1, F2: rate limits


async def test_a_rate_limit_is_waited_out_for_as_long_as_asked(asking: Asking) -> None:
    asking.luck = 0.999
    with FaultServer([refused(429, {"retry-after": "2"}), OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model)
            found = await rows(service)
    assert (answer.response, len(server.requests)) == ("Hello there", 2)
    assert len(asking.waits) == 1
    assert 2.0 <= asking.waits[0] <= 2.0 * 1.25
    assert [(one.error, one.status) for one in answer.fallbacks] == [("rate_limited", 429)]
    assert found == [("acme", "rate_limited"), ("acme", "ok")]


async def test_whoever_watches_is_told_that_the_call_waits(asking: Asking) -> None:
    progress = Progress()
    seen: list[str] = []

    async def sleep(seconds: float) -> None:
        seen.append(progress.note)
        await anyio.lowlevel.checkpoint()

    with FaultServer([refused(429, {"retry-after": "2"}), OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            service.llm.sleep = sleep
            await generate(service, Ask("hi", model), progress=progress)
    assert seen == ["acme: rate_limited, waiting 2 s"]


@pytest.mark.parametrize(
    "value", ["nan", "inf", "-inf", "-5", "0", "", "soon", "1e9999", "Wed, 21 Oct 2015 07:28:00 GMT"]
)
async def test_a_rate_limit_without_a_usable_wait_is_backed_off(asking: Asking, value: str) -> None:
    asking.luck = 0.5
    with FaultServer([refused(429, {"retry-after": value})]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model)
            found = await rows(service)
    assert isinstance(error, RateLimited)
    assert asking.waits == [0.25, 0.5]
    assert len(server.requests) == 3
    assert found == [("acme", "rate_limited")] * 3
    assert "acme:m rate_limited 429 x3" in str(error)


@pytest.mark.parametrize("value", ["61", "999999999", "Wed, 21 Oct 2199 07:28:00 GMT"])
async def test_a_wait_that_is_too_long_is_not_waited_but_the_next_is_asked(asking: Asking, value: str) -> None:
    with FaultServer(scripts={"acme": [refused(429, {"retry-after": value})], "backup": [OK]}) as server:
        asking.provider("acme", f"{server.url}/acme")
        asking.provider("backup", f"{server.url}/backup")
        async with asking.open(**TWO) as service:
            answer = await ask(service)
    assert (answer.provider, server.count("acme"), server.count("backup")) == ("backup", 1, 1)
    assert asking.waits == []


async def test_a_wait_past_the_calls_own_deadline_is_not_begun(asking: Asking) -> None:
    with FaultServer([refused(429, {"retry-after": "30"})]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model, timeout_s=5)
    assert isinstance(error, RateLimited)
    assert (asking.waits, len(server.requests)) == ([], 1)


# F3: what no second attempt can mend


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refused(429, code="insufficient_quota", type="insufficient_quota"), QuotaExceeded),
        (refused(401), AuthError),
        (refused(402), QuotaExceeded),
        (refused(403), AuthError),
        (refused(400), BadRequest),
        (refused(404), NotFound),
        (refused(413), ContextTooLong),
        (refused(422), BadRequest),
        (refused(400, code="context_length_exceeded"), ContextTooLong),
        (refused(400, code="content_policy_violation"), Refused),
        (refused(402, {"retry-after": "1", "x-should-retry": "true"}), QuotaExceeded),
    ],
)
async def test_a_refusal_is_told_in_the_providers_words_after_one_attempt(
    asking: Asking, reply: Reply, kind: type[ProviderError]
) -> None:
    with FaultServer([reply]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model)
            found = await rows(service)
    assert type(error) is kind
    assert len(server.requests) == 1
    assert found == [("acme", kind.kind)]
    words, _, fix = str(error).partition(". ")
    assert words == f"acme:m HTTP {reply.status}: bad thing"
    fixes = {
        AuthError: "The key is ACME_API_KEY from the environment (",
        QuotaExceeded: "Money or quota of this account is used up: top it up",
        NotFound: "`list_models` shows which models there are",
        ContextTooLong: "Send less, or name a model with a larger window.",
    }
    assert fix.startswith(fixes.get(kind, ""))
    assert bool(fix) == (kind in fixes)


async def test_the_callers_own_mistake_is_not_asked_of_the_next_provider(asking: Asking) -> None:
    with FaultServer(scripts={"acme": [refused(400)], "backup": [OK]}) as server:
        asking.provider("acme", f"{server.url}/acme")
        asking.provider("backup", f"{server.url}/backup")
        async with asking.open(**TWO) as service:
            assert isinstance(await failing(service), BadRequest)
    assert (server.count("acme"), server.count("backup")) == (1, 0)


async def test_a_quota_that_is_used_up_sends_the_call_to_the_next_provider(asking: Asking) -> None:
    with FaultServer(scripts={"acme": [refused(402)], "backup": [OK]}) as server:
        asking.provider("acme", f"{server.url}/acme")
        asking.provider("backup", f"{server.url}/backup")
        async with asking.open(**TWO) as service:
            answer = await ask(service)
    assert [(one.provider, one.error) for one in answer.fallbacks] == [("acme", "quota")]
    assert (server.count("acme"), server.count("backup")) == (1, 1)


# F4: the provider's own trouble


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529, 408])
async def test_trouble_is_tried_three_times_and_then_asked_of_the_next(asking: Asking, status: int) -> None:
    with FaultServer(scripts={"acme": [refused(status)], "backup": [OK]}) as server:
        asking.provider("acme", f"{server.url}/acme")
        asking.provider("backup", f"{server.url}/backup")
        async with asking.open(**TWO) as service:
            answer = await ask(service)
            found = await rows(service)
    assert (server.count("acme"), server.count("backup")) == (3, 1)
    assert answer.provider == "backup"
    assert [(one.provider, one.status) for one in answer.fallbacks] == [("acme", status)] * 3
    assert found == [("acme", "overloaded")] * 3 + [("backup", "ok")]


async def test_a_conflict_is_tried_once_more_and_then_asked_of_the_next(asking: Asking) -> None:
    with FaultServer(scripts={"acme": [refused(409)], "backup": [OK]}) as server:
        asking.provider("acme", f"{server.url}/acme")
        asking.provider("backup", f"{server.url}/backup")
        async with asking.open(**TWO) as service:
            answer = await ask(service)
            found = await rows(service)
    assert (answer.provider, server.count("acme"), server.count("backup")) == ("backup", 2, 1)
    assert found == [("acme", "overloaded")] * 2 + [("backup", "ok")]


async def test_when_all_fail_the_error_lists_every_attempt(asking: Asking) -> None:
    html = Reply(502, {"content-type": "text/html"}, b"<html>" + b"x" * 5000 + b"</html>")
    with FaultServer(scripts={"acme": [refused(500)], "backup": [html]}) as server:
        asking.provider("acme", f"{server.url}/acme")
        asking.provider("backup", f"{server.url}/backup")
        async with asking.open(**TWO) as service:
            error = await failing(service)
            found = await rows(service)
    assert isinstance(error, Overloaded)
    assert str(error).endswith("(tried: acme:m overloaded 500 x3, backup:m overloaded 502 x3)")
    assert [(one.provider, one.status) for one in error.attempts] == [("acme", 500)] * 3 + [("backup", 502)] * 3
    assert found == [("acme", "overloaded")] * 3 + [("backup", "overloaded")] * 3


async def test_an_error_of_any_length_is_told_in_two_kibibytes(asking: Asking) -> None:
    with FaultServer([refused(500, message="\U0001f600 \x1b[2J" * 100_000)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model)
    assert "\x1b" not in str(error)
    assert "acme:m overloaded 500 x3" in str(error)


async def test_a_key_that_the_provider_quotes_is_masked(asking: Asking) -> None:
    reply = refused(401, message=f"Incorrect API key provided: {CANARY}.")
    with FaultServer([reply]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model)
    assert str(error) == (
        "acme:m HTTP 401: Incorrect API key provided: ***. "
        f"The key is ACME_API_KEY from the environment (sk-…{CANARY[-4:]}): replace it."
    )
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"


# F14: a provider that is down for minutes


async def test_a_provider_that_is_down_costs_hardly_a_request_more_while_another_serves(asking: Asking) -> None:
    with FaultServer(scripts={"acme": [refused(503)], "backup": [OK]}) as server:
        asking.provider("acme", f"{server.url}/acme")
        asking.provider("backup", f"{server.url}/backup")
        async with asking.open(**TWO) as service:
            answers = [await ask(service) for _ in range(100)]
            found = await rows(service)
    assert {answer.provider for answer in answers} == {"backup"}
    assert (server.count("acme"), server.count("backup")) == (5, 100)
    assert len(found) == len(server.requests)
    assert [one.error for one in answers[-1].fallbacks] == ["resting"]


async def test_a_provider_that_rests_is_named_when_nobody_else_is_there(asking: Asking) -> None:
    with FaultServer([refused(503)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            for _ in range(2):
                await failing(service, model)
            error = await failing(service, model)
            found = await rows(service)
    assert len(server.requests) == len(found) == 5
    assert isinstance(error, Overloaded)
    assert "failed repeatedly and is not asked for another" in str(error)


async def test_a_probe_that_fails_before_it_is_sent_does_not_keep_the_provider_shut(asking: Asking) -> None:
    now = [0.0]
    with FaultServer([refused(503)] * 5 + [OK]) as server:
        model = asking.provider("acme", server.url, '[models.m]\nreads = ["pdf"]\n')
        async with asking.open() as service:
            service.llm.breakers.clock = lambda: now[0]
            for _ in range(2):
                await failing(service, model)
            now[0] = 16.0
            picture = "data:image/png;base64,iVBORw0KGgo="
            assert (await failing(service, model, files=[picture])).kind == "unsupported"
            assert (await ask(service, model)).response == "Hello there"
