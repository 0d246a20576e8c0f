"""The published tools through a real MCP client in memory, in both protocol eras."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import anyio
import jsonschema
import pytest
from canary import KEY
from mcp import Client, MCPError

from mcp_llm.server.build import definitions
from mcp_llm.server.result import SHOWN
from mcp_llm.server.tools import PACKS, tools

if TYPE_CHECKING:
    from mcp_llm.config import Config
    from mcp_llm.llm.service import Service

pytestmark = pytest.mark.anyio


def text(result: Any) -> str:
    return str(result.content[0].text)


def tokens(value: Any) -> int:
    """An upper estimate: byte-pair encodings give fewer tokens than words, numbers and single marks together."""
    return len(re.findall(r"[A-Za-z]{1,8}|\d{1,3}|[^\sA-Za-z0-9]", json.dumps(value, ensure_ascii=False)))


def test_the_definitions_of_the_default_tools_stay_cheap(config: Config, report: list[str]) -> None:
    counted = {tool["name"]: tokens(tool) for tool in definitions(config)}
    report.append(f"tool definitions, tokens at most: {counted}, together {sum(counted.values())}")
    assert len(counted) <= 6
    assert sum(counted.values()) <= 3000


async def test_every_tool_says_what_it_is_and_what_it_does_to_the_world(server: Any, mode: Any) -> None:
    async with Client(server, mode=mode) as client:
        tools = (await client.list_tools()).tools
    hints = {
        tool.name: (tool.annotations.read_only_hint, tool.annotations.destructive_hint)
        for tool in tools
        if tool.annotations is not None
    }
    assert hints == {
        "generate": (True, False),
        "compare_models": (True, False),
        "run_agent": (False, True),
        "runs": (False, False),
        "list_models": (True, False),
    }
    for tool in tools:
        assert tool.title
        assert tool.description
        assert tool.input_schema["additionalProperties"] is False
        assert tool.output_schema is not None
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        jsonschema.Draft202012Validator.check_schema(tool.output_schema)
        descriptions = [prop.get("description", "") for prop in tool.input_schema["properties"].values()]
        assert all(len(words) <= 100 and "\n" not in words for words in descriptions)


async def test_text_and_structured_content_carry_the_same_answer(server: Any, mode: Any) -> None:
    async with Client(server, mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool("generate", {"prompt": "Why is the sky blue?", "model": "demo"})
    data = result.structured_content
    assert data is not None
    words = "This is mcp-llm's built-in demo, not a language model. It was given 5 words: Why is the sky blue?"
    assert data == {
        "response": words,
        "model": "demo",
        "model_used": "demo",
        "provider": "demo",
        "finish_reason": "stop",
        "finish_reason_raw": "demo",
        "usage": {"input": 5, "output": 19, "total": 24, "estimated": True},
        "cost": {"usd": 0.0, "source": "local"},
        "latency_ms": data["latency_ms"],
        "first_token_ms": data["first_token_ms"],
        "request_id": "demo-1",
        "run_id": data["run_id"],
    }
    assert text(result).startswith(words + "\n\n[demo:demo · ~5 in / 19 out · free · ")
    assert text(result).endswith(f"run {data['run_id']}]")
    schema = tools["generate"].output_schema
    assert schema is not None
    jsonschema.validate(data, schema)


async def test_a_hyphenated_name_is_answered_too(server: Any, mode: Any) -> None:
    async with Client(server, mode=mode) as client:
        result = await client.call_tool("list-models", {})
    assert result.structured_content is not None
    assert result.structured_content["default"] == "demo:demo"


async def test_list_models_names_the_default_and_what_the_others_need(server: Any) -> None:
    async with Client(server) as client:
        result = await client.call_tool("list_models", {})
        everything = await client.call_tool("list_models", {"provider": "anthropic", "all": True})
    data, more = result.structured_content, everything.structured_content
    assert data is not None
    assert more is not None
    assert [row["model"] for row in data["models"]] == ["demo:demo"]
    assert data["missing"]["anthropic"] == "set ANTHROPIC_API_KEY"
    assert "default: demo:demo (default)" in text(result)
    rows = {row["model"]: row for row in more["models"]}
    opus = rows["anthropic:claude-opus-5-5"]
    told = (opus["tier"], opus["configured"], opus["input_usd"], opus["price_source"])
    assert told == ("pro", False, 4, "genai-prices")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "the argument `prompt` is missing"),
        ({"prompt": ""}, "`prompt` is empty"),
        ({"prompt": " \n\t\u00a0"}, "`prompt` is empty"),
        ({"prompt": "hi", "modle": "x"}, "there is no argument `modle`; did you mean `model`?"),
        ({"prompt": "hi", "api_key": KEY}, "there is no argument `api_key`"),
        ({"prompt": "hi", "base_url": "http://127.0.0.1:9"}, "there is no argument `base_url`"),
        ({"prompt": "hi", "max_tokens": 0}, "`max_tokens`: Input should be greater than or equal to 1"),
        ({"prompt": "hi", "model": "openai:gpt\r\nX-Evil: 1"}, "control character"),
        ({"prompt": "hi", "model": "opena:gpt-6-luna"}, "Did you mean openai"),
        ({"prompt": "hi", "model": "groq:pro"}, "GROQ_API_KEY is not set"),
        ({"prompt": "hi", "thread": "nope"}, "there is no thread 'nope'"),
        ({"prompt": 5}, "`prompt`: Input should be a valid string; `prompt`: Input should be a valid list"),
        ({"prompt": [5]}, "`prompt.0`: Input should be a valid dictionary"),
        ({"prompt": "hi", "messages": [{"role": "user", "text": "lost"}]}, "messages[0] has no `content`"),
        ({"prompt": "hi", "files": ["/etc/passwd"]}, "outside"),
        ({"prompt": "hi", "json_schema": {"$ref": "http://127.0.0.1:9/s.json"}}, "json_schema"),
        ({"prompt": "hi", "messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
    ],
)
async def test_a_mistake_is_told_with_its_fix_and_nothing_leaks(
    server: Any, arguments: dict[str, Any], said: str
) -> None:
    async with Client(server) as client:
        result = await client.call_tool("generate", arguments)
    assert result.is_error
    assert said in text(result)
    assert len(text(result)) < 1000
    for leak in ("Traceback", "pydantic", KEY, ".py"):
        assert leak not in text(result)


@pytest.mark.parametrize("words", ['{"a": 1}', "[1, 2]", '["a", "b"]', '[{"id": 7}]', "[]", "null", "true", "12", "[{"])
async def test_a_text_that_is_json_is_text(server: Any, words: str) -> None:
    asked = {"prompt": words, "system": words}
    async with Client(server) as client:
        answer = await client.call_tool("generate", {**asked, "model": "demo"})
        given = {"prompt": "Why?", "instruction": words, "extra_context": words, "model": "demo", "servers": []}
        agent = await client.call_tool("run_agent", given)
    assert (answer.structured_content or {})["response"].endswith(f": {words}")
    assert not agent.is_error
    assert words in (agent.structured_content or {})["response"]


async def test_a_list_or_an_object_may_come_as_json_in_a_string(server: Any) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    asked = {
        "prompt": json.dumps([{"type": "text", "text": "A name, "}, {"type": "text", "text": "please"}]),
        "model": "demo",
        "json_schema": json.dumps(schema),
        "stop": '["STOP"]',
        "tools": "null",
    }
    async with Client(server) as client:
        result = await client.call_tool("generate", asked)
        refused = await client.call_tool("generate", {"prompt": "a", "json_schema": "[[[["})
    assert not result.is_error
    data = result.structured_content
    assert data is not None
    assert data["parsed"] == json.loads(data["response"])
    assert refused.is_error
    assert "`json_schema`" in text(refused)


async def test_one_text_where_a_list_of_texts_is_meant_is_a_list_of_one(server: Any) -> None:
    async with Client(server) as client:
        stopped = await client.call_tool("generate", {"prompt": "a", "model": "demo", "stop": "language"})
        number = await client.call_tool("generate", {"prompt": "7", "model": "demo", "stop": "1"})
        attached = await client.call_tool(
            "generate", {"prompt": "a", "model": "demo", "files": "data:text/plain,words"}
        )
        named = await client.call_tool("run_agent", {"prompt": "a", "model": "demo", "servers": "nosuch"})
        empty = await client.call_tool("generate", {"prompt": "a", "model": "demo", "stop": ""})
    assert (stopped.structured_content or {})["response"] == "This is mcp-llm's built-in demo, not a "
    assert (number.structured_content or {})["response"].endswith("It was given ")
    assert "words" in (attached.structured_content or {})["response"]
    assert "no server is configured as 'nosuch'" in text(named)
    assert "`stop`: Input should be a valid list" in text(empty)


async def test_blanks_around_a_name_that_was_copied_out_of_a_text_are_nothing(server: Any) -> None:
    async with Client(server) as client:
        first = await client.call_tool("generate", {"prompt": "one", "model": " demo:demo\n", "thread": " new "})
        assert first.structured_content is not None
        thread, run_id = first.structured_content["thread"], first.structured_content["run_id"]
        second = await client.call_tool("generate", {"prompt": "two", "model": "demo", "thread": f" {thread}\n"})
        read = await client.call_tool("runs", {"action": "read", "run_id": f" {run_id} "})
        agent = await client.call_tool("run_agent", {"prompt": "one", "model": "demo"})
        known = (agent.structured_content or {})["run_id"]
        gone_on = await client.call_tool("run_agent", {"prompt": "two", "model": "demo", "continue_from": f"{known} "})
    assert not second.is_error
    assert (read.structured_content or {})["response"] == first.structured_content["response"]
    assert not gone_on.is_error


async def test_a_judge_that_is_the_word_true_is_true(server: Any) -> None:
    asked = {"prompt": "hi", "models": ["demo:a", " demo:b "], "judge": "true"}
    async with Client(server) as client:
        result = await client.call_tool("compare_models", asked)
    assert not result.is_error
    assert "win rate" in text(result)


async def test_a_tool_whose_pack_is_off_says_how_it_is_switched_on(server: Any) -> None:
    async with Client(server) as client:
        with pytest.raises(MCPError, match=r"'generate_image' is in the pack `media`, .* --packs media"):
            await client.call_tool("generate-image", {"prompt": "a"})
        unknown = await client.call_tool("nosuch", {})
    assert text(unknown) == "Unknown tool: nosuch"


async def test_progress_strictly_increases_and_says_who_is_speaking(
    server: Any, opened: list[Service], mode: Any
) -> None:
    seen: list[tuple[float, str | None]] = []
    enough = anyio.Event()

    class Waiting:
        """A provider that answers once three beats have been seen."""

        async def completion(self, prompt: str, model: str) -> str:
            await enough.wait()
            return "done"

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, message))
        if len(seen) == 3:
            enough.set()

    with anyio.fail_after(60):
        async with Client(server, mode=mode) as client:
            await client.call_tool("list_models", {})
            opened[0].register("waiting", Waiting())
            result = await client.call_tool(
                "generate", {"prompt": "hi", "model": "waiting:x"}, progress_callback=progress
            )
    assert text(result).startswith("done")
    values = [value for value, _ in seen]
    assert values == sorted(set(values))
    assert all(message is not None and len(message) <= 200 for _, message in seen)


async def test_an_oversized_answer_gives_its_first_part_and_the_way_to_the_rest(
    server: Any, opened: list[Service]
) -> None:
    class Long:
        async def completion(self, prompt: str, model: str) -> str:
            return "".join(f"line {number}\n" for number in range(12_000))

    whole = "".join(f"line {number}\n" for number in range(12_000))
    async with Client(server) as client:
        await client.call_tool("list_models", {})
        opened[0].register("long", Long())
        result = await client.call_tool("generate", {"prompt": "hi", "model": "long:x"})
        data = result.structured_content
        assert data is not None
        read, offset = data["response"].partition("\n\n[the first")[0], SHOWN
        while offset < len(whole):
            page = await client.read_resource(f"runs://{data['run_id']}?offset={offset}")
            piece = page.contents[0].text.partition("\n\n[")[0]  # type: ignore[union-attr]  # a text resource
            read, offset = read + piece, offset + len(piece)
    assert read == whole
    assert result.content[1].type == "resource_link"
    assert len(text(result)) < SHOWN + 1000


async def test_a_conversation_goes_on_by_its_thread(server: Any) -> None:
    async with Client(server) as client:
        first = await client.call_tool("generate", {"prompt": "one", "model": "demo", "thread": "new"})
        assert first.structured_content is not None
        thread = first.structured_content["thread"]
        second = await client.call_tool("generate", {"prompt": "two", "model": "demo", "thread": thread})
    assert second.structured_content is not None
    assert second.structured_content["request_id"] == "demo-3"  # it saw three messages
    assert f"thread {thread}" in text(second)


async def test_tools_are_returned_as_calls_and_their_results_go_back(server: Any) -> None:
    weather = {
        "name": "weather",
        "description": "the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    async with Client(server) as client:
        first = await client.call_tool("generate", {"prompt": "weather", "model": "demo", "tools": [weather]})
        assert first.structured_content is not None
        call = first.structured_content["tool_calls"][0]
        turns = [
            {"role": "user", "content": "weather"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
        ]
        second = await client.call_tool(
            "generate", {"prompt": "", "messages": turns, "model": "demo", "tools": [weather]}
        )
    assert first.structured_content["finish_reason"] == "tool_calls"
    assert call == {"id": call["id"], "name": "weather", "arguments": {"city": "weather"}}
    assert "weather said: sunny" in text(second)


async def test_structured_output_is_parsed_and_validated(server: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 3}, "age": {"type": "integer", "minimum": 18}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    async with Client(server) as client:
        result = await client.call_tool("generate", {"prompt": "a person", "model": "demo", "json_schema": schema})
    assert result.structured_content is not None
    assert result.structured_content["parsed"] == {"name": "demo", "age": 18}


async def test_a_dry_run_quotes_and_asks_nobody(server: Any) -> None:
    async with Client(server) as client:
        result = await client.call_tool(
            "generate", {"prompt": "x" * 4000, "model": "anthropic:pro", "max_tokens": 1000, "dry_run": True}
        )
    assert result.structured_content is not None
    quote = result.structured_content["quote"]
    assert (quote["provider"], quote["model"], quote["max_output_tokens"]) == ("anthropic", "claude-opus-5-5", 1000)
    assert 0 < quote["usd_at_least"] < quote["usd_at_most"] < 0.05


async def test_model_names_are_completed(server: Any, mode: Any) -> None:
    from mcp.types import ResourceTemplateReference

    reference = ResourceTemplateReference(type="ref/resource", uri="models://{name}")
    async with Client(server, mode=mode) as client:
        found = await client.complete(reference, {"name": "name", "value": "dem"})
        nothing = await client.complete(reference, {"name": "other", "value": "dem"})
    assert found.completion.values == ["demo:demo"]
    assert nothing.completion.values == []


def test_the_packs_name_every_tool_once() -> None:
    names = [tool.name for tool in tools(list(PACKS))]
    assert len(names) == len(set(names))


async def test_a_tool_of_somebody_elses_keeps_the_hyphen_in_its_name(server: Any) -> None:
    def hello() -> str:
        return "hello"

    server.add_tool(hello, name="say-hello")
    async with Client(server) as client:
        assert text(await client.call_tool("say-hello", {})) == "hello"
        assert not (await client.call_tool("list-models", {})).is_error
