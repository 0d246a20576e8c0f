"""What a provider's refusals and troubles cost: attempts counted at the provider, waits, rows, who is asked next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)
TWO = {"default": "acme:m", "fallbacks": ["backup:m"]}


def refused(status: int, headers: dict[str, str] | None = None, **error: Any) -> Reply:
    body = json.dumps({"error": {"message": "bad thing", **error}}).encode()
    return Reply(status=status, headers={"content-type": "application/json", **(headers or {})}, body=body)


# F1, F2: rate limits


async def test_a_rate_limit_is_waited_out_for_as_long_as_asked(asking: Asking) -> None:
    asking.luck = 0.999
    told: list[str] = []
    with FaultServer([refused(429, {"retry-after": "2"}), OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            from mcp_llm.llm.generate import Ask, generate
            from mcp_llm.llm.progress import Progress

            progress = Progress()
            progress.listener = told.append
            answer = await generate(service, Ask("hi", model), progress=progress)
            found = await rows(service)
    assert (answer.response, len(server.requests)) == ("Hello there", 2)
    assert len(asking.waits) == 1
    assert 2.0 <= asking.waits[0] <= 2.0 * 1.25
    assert [(one.error, one.status) for one in answer.fallbacks] == [("rate_limited", 429)]
    assert found == [("acme", "rate_limited"), ("acme", "ok")]
