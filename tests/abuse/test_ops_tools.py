"""The pack `ops` and its lines of the corpus: health and usage, as a caller is told them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from abuse.calling import calling, said
from abuse.corpus import case
from canary import KEY
from faults.replies import ok
from faults.server import FaultServer, Reply
from mcp import Client
from server.principals import acting_as

from mcp_llm import config as configuration
from mcp_llm.server.build import build, definitions

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Run

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)
PRICE = {"prices": {"acme:m": {"input": 1, "output": 1}}}


def test_the_pack_is_off_unless_it_is_asked_for(home: Path) -> None:
    names = {
        packs: [tool["name"] for tool in definitions(configuration.load(overrides={"packs": packs}))]
        for packs in (("core",), ("core", "ops"))
    }
    assert names["core", "ops"] == [*names["core",], "health", "usage"]


async def test_health_says_who_answers_and_who_does_not(home: Path) -> None:
    models = Reply(body=b'{"data": [{"id": "a"}, {"id": "b"}]}')
    async with calling(home, [models, Reply(status=503)]) as caller:
        good = await caller.call("health", {"providers": ["acme"]})
        bad = await caller.call("health", {"providers": ["acme"]})
        unknown = await caller.call("health", {"providers": ["acmee"]})
        assert await caller.ledger() == []
    (state,) = good.structured_content["providers"]
    assert (state["provider_id"], state["available"], state["models_available"]) == ("acme", True, 2)
    assert said(good).startswith("acme: answers in ")
    assert said(bad).startswith("acme: fails · ")
    assert not bad.is_error
    assert unknown.is_error
    assert "acme" in said(unknown)


async def test_health_tells_no_key_that_a_provider_echoes(home: Path) -> None:
    """HEA-002, with whatever of the key and of this machine an answer or a trace may hold."""
    assert case("HEA-002").fault == {"provider": "401 with the key echoed in the body"}
    told = f"Incorrect API key provided: {KEY}. You sent `Authorization: Bearer {KEY}`"
    echo = Reply(status=401, body=json.dumps({"error": {"message": told, "code": "invalid_api_key"}}).encode())
    async with calling(home, [echo]) as caller:
        result = await caller.call("health", {})
    shown = said(result) + json.dumps(result.structured_content)
    assert "ACME_API_KEY" in shown
    assert [secret for secret in (KEY, KEY[:9], KEY[-8:], str(home), "Traceback") if secret in shown] == []


async def test_usage_adds_up_as_asked(home: Path) -> None:
    async with calling(home, [OK, Reply(status=400, body=b"{}"), OK], **PRICE) as caller:
        await caller.call("generate", {"prompt": "hi", "context": "notes"})
        await caller.call("generate", {"prompt": "hi"})
        result = await caller.call("usage", {"by": "context", "since": "today"})
        wrong = [await caller.call("usage", arguments) for arguments in ({"by": "colour"}, {"since": "soon"})]
    assert result.structured_content == {
        "by": "context",
        "since": "today",
        "rows": [
            {
                "key": "notes",
                "calls": 1,
                "failed": 0,
                "input": 3,
                "output": 2,
                "cached": None,
                "reasoning": None,
                "usd": 5e-06,
                "unpriced_calls": 0,
                "charged_usd": 5e-06,
            },
            {
                "key": "",
                "calls": 1,
                "failed": 1,
                "input": None,
                "output": None,
                "cached": None,
                "reasoning": None,
                "usd": None,
                "unpriced_calls": 1,
                "charged_usd": 0.0,
            },
        ],
        "problems": [],
    }
    assert said(result).splitlines() == [
        "notes · 1 call · 3 in / 2 out · $0.000005",
        "(none) · 1 call · 1 failed · ? in / ? out · cost unknown",
    ]
    assert ["colour" in said(one) or "soon" in said(one) for one in wrong] == [True, True]


async def test_a_row_that_is_garbage_is_left_out_counted_and_reported(home: Path, run: Run) -> None:
    """USE-002: the ledger is a database, so a line is a row; a torn end is its log's (crash/test_damage.py)."""
    async with calling(home, [OK], **PRICE) as caller:
        for _ in range(4):
            await caller.answered("generate", {"prompt": "hi"})
        assert len(await caller.ledger()) == 4
        with closing(sqlite3.connect(home / "state.db")) as other, other:
            other.execute("UPDATE ledger SET usd = 'garbage', input = x'ff00' WHERE id = 3")
        other.close()
        result = await caller.call("usage", {})
        read: Any = await caller.client.read_resource("usage://")
    (row,) = result.structured_content["rows"]
    assert (row["calls"], row["input"], row["output"], row["usd"]) == (3, 9, 6, 15e-6)
    told = "1 of the ledger's rows cannot be read and is in no sum"
    assert result.structured_content["problems"] == [told]
    assert f"problem: {told}" in said(result)
    assert json.loads(read.contents[0].text)["problems"] == [told]
    shown = run("usage", "--json")
    assert told in " ".join(shown.stderr.split())
    assert [row["calls"] for row in json.loads(shown.stdout)] == [3]


async def test_a_principal_sees_only_what_its_own_calls_used(home: Path) -> None:
    """USE-003; how a token becomes a principal is held in server/http/test_door.py."""
    who = case("USE-003").input["$principal"]
    with FaultServer([OK]) as upstream:
        settings = {"discover": False, "packs": ("core", "ops"), "providers": {"acme": {"base_url": upstream.url}}}
        server = build(configuration.load(overrides=settings))
        seen = {}
        for principal, calls in (("A", 3), (who, 1), ("nobody", 0)):
            with acting_as(principal):
                async with Client(server) as client:
                    for _ in range(calls):
                        await client.call_tool("generate", {"prompt": "secret plan", "model": "acme:m"})
                    told: Any = await client.call_tool("usage", {"by": "total", "since": "all"})
                    seen[principal] = [row["calls"] for row in told.structured_content["rows"]]
    assert seen == {"A": [3], who: [1], "nobody": []}
