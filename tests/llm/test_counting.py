"""Counting input tokens: the provider's word where it has one, an honest guess elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faults.asking import CANARY
from faults.server import FaultServer, Reply

from mcp_llm import config
from mcp_llm.app import open_app
from mcp_llm.llm.counting import TokenCount
from mcp_llm.llm.generate import Ask, count_tokens

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def claude(home: Path, url: str) -> config.Config:
    environment = {
        "MCP_LLM_HOME": str(home),
        "MCP_LLM_DISCOVER": "0",
        "ANTHROPIC_API_KEY": CANARY,
        "ANTHROPIC_BASE_URL": url,
    }
    return config.load(environment=environment)


async def test_the_provider_counts_where_it_has_a_counter(home: Path) -> None:
    with FaultServer([Reply(body=b'{"input_tokens": 321}')]) as server:
        async with open_app(claude(home, server.url)) as service:
            counted = await count_tokens(service, Ask(prompt="How many?", system="Be brief.", model="anthropic:lite"))
    assert counted == TokenCount(tokens=321, exact=True, model="claude-haiku-5-5", provider="anthropic")
    assert [request.target for request in server.requests] == ["/v1/messages/count_tokens"]


async def test_a_counter_that_fails_and_a_provider_without_one_give_a_guess_that_says_so(home: Path) -> None:
    with FaultServer([Reply(status=500, body=b"{}")]) as server:
        async with open_app(claude(home, server.url)) as service:
            failed = await count_tokens(service, Ask(prompt="x" * 400, model="anthropic:lite"))
            missing = await count_tokens(service, Ask(prompt="x" * 400, model="demo"))
    assert (failed.exact, missing.exact) == (False, False)
    assert (failed.tokens, missing.tokens) == (104, 104)
