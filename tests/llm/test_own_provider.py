"""Acceptance: an OpenAI-compatible provider is one TOML file in a folder of the user's, and works at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from faults.asking import CANARY, ask
from faults.replies import SSE, sse
from faults.server import FaultServer, Reply

from mcp_llm import config
from mcp_llm.app import open_app
from mcp_llm.errors import Timeout
from mcp_llm.llm.generate import Ask, generate
from mcp_llm.types.chat import Delta, ToolSpec
from mcp_llm.types.message import Text, ToolCall, ToolResult, assistant, user

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mcp_llm.types.chat import Chunk

pytestmark = pytest.mark.anyio

WEATHER = ToolSpec(
    name="weather",
    description="The weather of a town",
    parameters={"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
)


def stream(*deltas: dict[str, Any], finish: str, usage: dict[str, Any]) -> Reply:
    base = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "model": "tiny-1-2026"}
    events: list[dict[str, Any]] = []
    events += [{**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    events.append({**base, "choices": [], "usage": usage})
    return Reply(headers=SSE, body=sse(events, done=True), framing="chunked", piece=64)


async def test_adding_an_openai_compatible_provider_is_one_toml_file_and_works_at_once(home: Path) -> None:
    call = {"index": 0, "id": "call_9", "type": "function", "function": {"name": "weather", "arguments": '{"town":'}}
    more = {"index": 0, "function": {"arguments": '"Oslo"}'}}
    usage = {"prompt_tokens": 20, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 16}}
    models = Reply(body=b'{"data":[{"id":"tiny-1","context_length":32768}]}')
    with FaultServer(
        [
            stream({"tool_calls": [call]}, {"tool_calls": [more]}, finish="tool_calls", usage=usage),
            stream({"content": "It "}, {"content": "snows."}, finish="stop", usage=usage),
            models,
        ]
    ) as server:
        (home / "providers").mkdir()
        (home / "providers" / "tiny.toml").write_text(f'base_url = "{server.url}/v1"\n')
        environment = {"MCP_LLM_HOME": str(home), "TINY_API_KEY": CANARY}
        async with open_app(config.load(environment=environment)) as service:
            assert service.config.problems == []
            pieces: list[str] = []

            async def on_chunks(chunks: Sequence[Chunk]) -> None:
                parts = [chunk.part for chunk in chunks if isinstance(chunk, Delta)]
                pieces.extend(part.text for part in parts if isinstance(part, Text))

            question = user("How is the weather in Oslo?")
            first = await ask(service, "tiny:tiny-1", prompt="", messages=[question], tools=[WEATHER])
            history = [
                question,
                assistant(ToolCall("call_9", "weather", '{"town":"Oslo"}')),
                user(ToolResult("call_9", "weather", ())),
            ]
            second = await generate(
                service, Ask("", "tiny:tiny-1", messages=history, tools=[WEATHER]), on_chunks=on_chunks
            )
            listed = await service.models.of("tiny")
    assert first.tool_calls is not None
    assert [(one.id, one.name, one.arguments) for one in first.tool_calls] == [("call_9", "weather", {"town": "Oslo"})]
    assert first.finish_reason == "tool_calls"
    assert (second.response, second.finish_reason, second.model_used) == ("It snows.", "stop", "tiny-1-2026")
    assert "".join(pieces) == "It snows."
    assert (second.usage.input, second.usage.output, second.usage.cached, second.usage.total) == (20, 7, 16, 27)
    assert (second.provider, second.cost.usd, second.warnings) == ("tiny", None, ())
    assert [(one.id, one.context) for one in listed] == [("tiny-1", 32768)]
    assert [(one.method, one.target) for one in server.requests] == [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
    ]
    assert {one.headers["authorization"] for one in server.requests} == {f"Bearer {CANARY}"}
    body = json.loads(server.requests[1].body)
    assert body["stream"] is True
    assert body["tools"][0]["function"]["name"] == "weather"
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool"]
    assert body["messages"][2]["tool_call_id"] == "call_9"


async def test_a_provider_of_the_users_own_is_what_auto_asks_when_it_is_the_only_one(home: Path) -> None:
    models = Reply(body=b'{"data":[{"id":"tiny-1"}]}')
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    with FaultServer([models, stream({"content": "me"}, finish="stop", usage=usage)]) as server:
        (home / "providers").mkdir()
        (home / "providers" / "tiny.toml").write_text(f'base_url = "{server.url}/v1"\n[auth]\nrequired = false\n')
        settings = config.load(environment={"MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0"})
        async with open_app(settings) as service:
            result = await generate(service, Ask(prompt="who?"))
    assert (result.provider, result.model_used, result.response) == ("tiny", "tiny-1-2026", "me")


@pytest.mark.parametrize("begun", [False, True], ids=["before its first word", "in the middle"])
async def test_a_provider_in_code_that_hangs_is_given_up_when_the_calls_time_is_over(home: Path, begun: bool) -> None:
    ended = anyio.Event()

    class Hangs:
        async def stream(self, request: Any, model: str) -> Any:
            try:
                if begun:
                    yield Delta(0, Text("so far"))
                await anyio.sleep_forever()
            finally:
                ended.set()

    async with open_app(config.load(environment={"MCP_LLM_HOME": str(home)})) as service:
        service.register("hangs", Hangs())
        with anyio.fail_after(30), pytest.raises(Timeout, match="total deadline") as told:
            await generate(service, Ask(prompt="hi", model="hangs:m", timeout_s=0.2))
    assert ended.is_set()
    assert told.value.partial == ("so far" if begun else None)


async def test_a_provider_of_ones_own_that_is_silent_is_waited_for_once_a_minute(home: Path) -> None:
    with FaultServer([Reply(status=500)]) as server:
        (home / "providers").mkdir()
        (home / "providers" / "tiny.toml").write_text(f'base_url = "{server.url}/v1"\n')
        environment = {"MCP_LLM_HOME": str(home), "TINY_API_KEY": CANARY}
        async with open_app(config.load(environment=environment, overrides={"discover": False})) as service:
            now = [0.0]
            service.models.clock = lambda: now[0]
            for _ in range(3):
                await service.available()
            assert len(server.requests) == 1
            now[0] = 61.0
            await service.available()
            assert len(server.requests) == 2
