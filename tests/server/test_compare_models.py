"""The tool `compare_models` through a real MCP client in memory, in both protocol eras."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import jsonschema
import pytest
from mcp import Client

if TYPE_CHECKING:
    from mcp_llm.llm.service import Service

pytestmark = pytest.mark.anyio


def text(result: Any) -> str:
    return str(result.content[0].text)


async def test_text_and_data_carry_the_same_answers(server: Any, mode: Any) -> None:
    async with Client(server, mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool(
            "compare-models",
            {"prompts": ["one", "two words"], "models": ["demo", "demo:other"], "expect": ["one", None], "judge": True},
        )
    data = result.structured_content
    assert data is not None
    assert not result.is_error
    jsonschema.validate(data, tools["compare_models"].output_schema or {})
    assert text(result).startswith(data["response"])
    assert [(one["model"], one["prompt"]) for one in data["results"]] == [
        ("demo", 0),
        ("demo:other", 0),
        ("demo", 1),
        ("demo:other", 1),
    ]
    for one in data["results"]:
        assert one["response"] in text(result)
        assert one["cost"] == {"usd": 0.0, "source": "local"}
    assert data["results"][0]["check"]["passed"] is False
    assert "check" not in data["results"][2]
    assert "winner" not in data["verdict"]
    assert "not enough evidence" in data["verdict"]["words"]
    assert data["run_id"] in text(result)
    assert next(iter(data)) == "response"


async def test_a_comparison_that_outlives_the_call_is_collected_by_its_run(server: Any, opened: list[Service]) -> None:
    go = anyio.Event()

    class Slow:
        async def completion(self, prompt: str, model: str) -> str:
            await go.wait()
            return "at last"

    with anyio.fail_after(60):
        async with Client(server) as client:
            await client.call_tool("list_models", {})
            opened[0].register("slow", Slow())
            arguments = {"prompt": "hi", "models": ["slow:x", "demo"], "wait_s": 0.2}
            first = await client.call_tool("compare_models", arguments)
            assert first.structured_content is not None
            assert first.structured_content["status"] == "running"
            assert "It was given 1 word: hi" in first.structured_content["partial"]
            go.set()
            last = await client.call_tool("runs", {"action": "wait", "run_id": first.structured_content["run_id"]})
    assert "--- slow:x ---\nat last" in text(last)
    assert "--- demo ---" in text(last)


async def test_an_interrupted_comparison_is_gone_on_with_and_pays_nothing_twice(
    server: Any, opened: list[Service]
) -> None:
    asked: list[str] = []
    hang = True

    class Tree:
        async def completion(self, prompt: str, model: str) -> str:
            asked.append(model)
            if model == "slow" and hang:
                await anyio.sleep_forever()
            return f"by {model}"

    with anyio.fail_after(60):
        async with Client(server) as client:
            await client.call_tool("list_models", {})
            service: Any = opened[0]
            service.register("tree", Tree())
            arguments = {"prompt": "hi", "models": ["tree:quick", "tree:slow"], "wait_s": 0.2}
            first = await client.call_tool("compare_models", arguments)
            assert first.structured_content is not None
            run_id = first.structured_content["run_id"]
            journal = service.journals.driven(run_id)
            await journal.release()  # as if its process had ended
            journal.stop(lost=True)
            hang = False
            last = await client.call_tool("runs", {"action": "resume", "run_id": run_id})
    assert (sorted(asked[:2]), asked[2:]) == (["quick", "slow"], ["slow"])
    assert "--- tree:quick ---\nby quick" in text(last)
    assert "--- tree:slow ---\nby slow" in text(last)


async def test_a_quote_is_given_instead_of_spending_much(server: Any) -> None:
    arguments = {"prompt": "hi", "models": ["openai:pro", "anthropic:pro"], "samples": 50}
    async with Client(server) as client:
        result = await client.call_tool("compare_models", arguments)
    assert result.structured_content is not None
    assert result.structured_content["quote"]["answers"] == 100
    assert text(result).startswith("This comparison makes 100 calls, about $")
    assert "call again with `budget_usd`" in text(result)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"prompt": "hi"}, "the argument `models` is missing"),
        ({"prompt": "hi", "models": []}, "a comparison takes 2 to 16"),
        ({"prompt": "hi", "models": ["demo"]}, "a comparison takes 2 to 16"),
        ({"prompt": "hi", "models": ["a", "b"]}, "none of the 2 models answered"),
        ({"prompt": "hi", "models": ["demo", "demo:x"], "judge": {"a": 1}}, "`judge` has to be"),
        ({"prompt": "hi", "models": ["demo", "demo:x"], "judges": True}, "did you mean `judge`?"),
    ],
)
async def test_a_mistake_is_told_with_its_fix(server: Any, arguments: dict[str, Any], said: str) -> None:
    async with Client(server) as client:
        result = await client.call_tool("compare_models", arguments)
    assert result.is_error
    assert said in text(result)
    assert "Traceback" not in text(result)


async def test_a_reply_stays_in_its_size_and_says_where_the_rest_is(server: Any, opened: list[Service]) -> None:
    class Long:
        async def completion(self, prompt: str, model: str) -> str:
            return "x" * 50_000

    async with Client(server) as client:
        await client.call_tool("list_models", {})
        opened[0].register("long", Long())
        result = await client.call_tool("compare_models", {"prompt": "hi", "models": [f"long:{n}" for n in range(8)]})
        data = result.structured_content
        assert data is not None
        run_id, offset = data["results"][0]["run_id"], data["results"][0]["response"].index("\n[the first")
        rest = await client.call_tool("runs", {"action": "read", "run_id": run_id, "offset": offset})
    assert len(text(result)) <= 60_000
    assert len(json.dumps(data)) <= 63_000
    assert len(data["results"]) == 8
    assert text(rest) == "x" * (50_000 - offset)
