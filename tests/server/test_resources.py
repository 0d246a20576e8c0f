"""Resources through a real client in both eras: what is listed, what is read, and whose it is."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from agent.scripted import Scripted
from mcp import Client, MCPError
from mcp.types import BlobResourceContents, ResourceLink, TextResourceContents
from server.principals import acting_as
from server.test_run_agent import House

from mcp_llm.server.result import SHOWN

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.app import App

pytestmark = pytest.mark.anyio
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def text(client: Client, uri: str) -> str:
    content = (await client.read_resource(uri)).contents[0]
    assert isinstance(content, TextResourceContents)
    return content.text


async def ask(client: Client, prompt: str) -> str:
    result = await client.call_tool("generate", {"prompt": prompt, "model": "demo"})
    assert result.structured_content is not None
    return str(result.structured_content["run_id"])


async def test_what_there_is_to_read_is_listed_in_one_order_with_sizes(
    server: Any, opened: list[App], mode: Any
) -> None:
    async with Client(server, mode=mode) as client:
        made = opened[0].artifacts.put(PNG, "image/png", name="sunset.png")
        listed = (await client.list_resources()).resources
        again = (await client.list_resources(cache_mode="refresh")).resources
        agents = {one.uri: one.size for one in listed if one.uri.startswith("agents://")}
        sizes = {uri: len((await text(client, uri)).encode()) for uri, size in agents.items() if size is not None}
    assert [one.uri for one in listed] == [
        *("runs://", "models://", "agents://", "agents://agent", "agents://reviewer", "usage://"),
        made.uri,
    ]
    assert listed == again
    assert agents == {"agents://": None, **sizes}
    assert (listed[-1].name, listed[-1].mime_type, listed[-1].size) == ("sunset.png", "image/png", len(PNG))
    assert all(one.title and one.annotations and one.annotations.audience for one in listed)


async def test_a_runs_words_are_read_page_by_page(server: Any, mode: Any) -> None:
    prompt = "word " * (SHOWN // 4)
    async with Client(server, mode=mode) as client:
        result = await client.call_tool("generate", {"prompt": "x", "model": "demo", "json_schema": {"const": prompt}})
        assert result.structured_content is not None
        run_id = result.structured_content["run_id"]
        first = (await client.read_resource(f"runs://{run_id}")).contents[0]
        assert isinstance(first, TextResourceContents)
        assert first.meta == {"mcp-llm/next": f"runs://{run_id}?offset={SHOWN}"}
        rest = await text(client, first.meta["mcp-llm/next"])
    assert first.text[:SHOWN] + rest == json.dumps(prompt)


async def test_what_does_not_fit_a_reply_is_linked_by_every_tool_that_gives_answers(home: Path, mode: Any) -> None:
    house = House(home)
    words = "word " * (SHOWN // 4)
    async with Client(house.server, mode=mode) as client:
        house.opened[0].register("scripted", Scripted(words))
        plain = {"prompt": "x", "model": "scripted:m"}
        results = [
            await client.call_tool("generate", plain),
            await client.call_tool("run_agent", {**plain, "servers": []}),
            await client.call_tool("compare_models", {"prompt": "x", "models": ["scripted:m", "demo"]}),
        ]
        ids = [str((one.structured_content or {})["run_id"]) for one in results]
        results += [await client.call_tool("runs", {"action": "read", "run_id": one}) for one in ids]
        links = [[block for block in one.content if isinstance(block, ResourceLink)] for one in results]
        read = [await text(client, found[0].uri) for found in links]
    assert [len(found) for found in links] == [1] * 6
    assert {found[0].uri.partition("?")[0] for found in links} == {f"runs://{one}" for one in ids}
    assert all("word word" in one for one in read)


async def test_runs_are_listed_the_newest_first_and_their_events_are_json_lines(server: Any, mode: Any) -> None:
    async with Client(server, mode=mode) as client:
        result = await client.call_tool("run_agent", {"prompt": "do it", "model": "demo", "servers": []})
        assert result.structured_content is not None
        run_id = result.structured_content["run_id"]
        later = await ask(client, "later")
        rows = json.loads(await text(client, "runs://"))["runs"]
        events = [json.loads(line) for line in (await text(client, f"runs://{run_id}/events")).splitlines()]
        after = [json.loads(line) for line in (await text(client, f"runs://{run_id}/events?after=1")).splitlines()]
    assert {row["run_id"] for row in rows} == {run_id, later}
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert (events[0]["event"], events[-1]["event"]) == ("start", "finish")
    assert after == events[2:]


async def test_usage_is_summed_as_asked_and_models_and_agents_are_told(server: Any, mode: Any) -> None:
    async with Client(server, mode=mode) as client:
        await ask(client, "one two three")
        usage = json.loads(await text(client, "usage://?by=provider&since=24h"))
        models = json.loads(await text(client, "models://"))
        model = json.loads(await text(client, "models://demo:demo"))
        agent = json.loads(await text(client, "agents://reviewer"))
    assert [(row["key"], row["calls"], row["input"], row["usd"]) for row in usage["rows"]] == [("demo", 1, 3, 0.0)]
    assert [row["model"] for row in models["models"]] == ["demo:demo"]
    assert (model["model"], model["local"]) == ("demo:demo", True)
    assert (agent["name"], agent["tier"]) == ("reviewer", "pro")
    assert agent["instruction"].startswith("You review")


async def test_artifacts_are_bytes_with_their_type(server: Any, opened: list[App], mode: Any) -> None:
    async with Client(server, mode=mode) as client:
        picture = opened[0].artifacts.put(PNG, "image/png")
        words = opened[0].artifacts.put("Übung".encode(), "text/plain")
        content = (await client.read_resource(picture.uri)).contents[0]
        said = await text(client, words.uri)
    assert isinstance(content, BlobResourceContents)
    assert (base64.b64decode(content.blob), content.mime_type, said) == (PNG, "image/png", "Übung")


async def test_what_is_somebody_elses_is_unknown_in_the_same_words(server: Any, opened: list[App], mode: Any) -> None:
    with acting_as("ann"):
        async with Client(server, mode=mode) as ann:
            run_id = await ask(ann, "secret")
            picture = opened[0].artifacts.put(PNG, "image/png", principal="ann")
            assert len(json.loads(await text(ann, "runs://"))["runs"]) == 1
            assert len((await ann.list_resources()).resources) == 7
    with acting_as("bob"):
        async with Client(server, mode=mode) as bob:
            assert json.loads(await text(bob, "runs://"))["runs"] == []
            assert json.loads(await text(bob, "usage://"))["rows"] == []
            assert len((await bob.list_resources()).resources) == 6
            for uri in (f"runs://{run_id}", f"runs://{run_id}/events", picture.uri):
                with pytest.raises(MCPError) as told:
                    await bob.read_resource(uri)
                other = uri.replace(run_id, "0" * 32).replace(picture.sha256, "0" * 64)
                with pytest.raises(MCPError) as never:
                    await bob.read_resource(other)
                assert (told.value.error.code, told.value.error.data) == (-32602, {"uri": uri})
                assert str(told.value).replace(run_id, "").replace(picture.sha256, "") == str(never.value).replace(
                    "0" * 64, ""
                ).replace("0" * 32, "")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("runs://../../state.db", "there is no run"),
        ("runs://x?offset=one", "whole number"),
        ("runs://?limit=3", "has no variable 'limit'"),
        ("usage://?by=person", "usage is not grouped by"),
        ("usage://?since=yore", "neither like 7d"),
        ("models://nobody:m", "nobody"),
        ("agents://reviwer", "did you mean 'reviewer'"),
        ("artifacts://..%2F..%2Fstate.db", "there is no artifact"),
        ("artifacts://%00", "there is no artifact"),
        ("file:///etc/passwd", "Unknown resource"),
        ("nothing", "Unknown resource"),
    ],
)
async def test_a_uri_that_names_nothing_says_what_is_wrong_with_it(
    server: Any, mode: Any, uri: str, words: str, home: Path
) -> None:
    async with Client(server, mode=mode) as client:
        with pytest.raises(MCPError) as told:
            await client.read_resource(uri)
    assert told.value.error.code == -32602
    assert words in str(told.value)
    assert str(home) not in str(told.value)
