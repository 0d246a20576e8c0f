"""The host's own model as a provider, where the host still offers sampling: last before the demo, at no known price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from canary import KEY
from mcp import Client, MCPError
from mcp.types import CreateMessageResult, TextContent

from mcp_llm import config as configuration
from mcp_llm.server.build import build

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),  # the client's side of sampling is deprecated too
]


class HostModel:
    """Answers with how many messages it was given."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.now = self.most = 0
        self.go = anyio.Event()
        self.go.set()

    async def __call__(self, context: Any, params: Any) -> CreateMessageResult:
        self.asked.append(params)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.go.wait()
        finally:
            self.now -= 1
        text = TextContent(type="text", text=f"heard {len(params.messages)}")
        return CreateMessageResult(role="assistant", content=text, model="host-1", stop_reason="endTurn")


async def data(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    with anyio.fail_after(60):
        result = await client.call_tool(tool, arguments)
    assert result.structured_content is not None, result
    return dict(result.structured_content)


async def test_who_has_no_key_gets_the_hosts_model_before_the_demo(server: Any, mode: Any) -> None:
    model = HostModel()
    async with Client(server, mode=mode, sampling_callback=model) as client:
        listed = await data(client, "list_models", {})
        given = await data(client, "generate", {"prompt": "hi", "system": "be brief", "max_tokens": 5})
    assert listed["default"] == "host:default"
    rows = {row["model"]: (row.get("local"), row["input_usd"]) for row in listed["models"]}
    assert rows == {"demo:demo": (True, 0.0), "host:default": (False, None)}
    assert (given["response"], given["provider"], given["model_used"]) == ("heard 1", "host", "host-1")
    assert (given["cost"]["usd"], given["finish_reason"]) == (None, "stop")
    (asked,) = model.asked
    assert (asked.system_prompt, asked.max_tokens, asked.include_context) == ("be brief", 5, "none")


async def test_a_host_that_offers_none_is_not_asked_and_the_list_says_so(server: Any, mode: Any) -> None:
    async with Client(server, mode=mode) as client:
        listed = await data(client, "list_models", {})
        result = await client.call_tool("generate", {"prompt": "hi", "model": "host:default"})
    assert listed["default"] == "demo:demo"
    assert listed["missing"]["host"] == "the host that calls does not offer its model (MCP sampling)"
    assert result.is_error
    assert "does not offer its model" in str(result.content[0].text)  # type: ignore[union-attr]


async def test_a_conversation_goes_along_and_an_agent_without_tools_may_use_it(server: Any, mode: Any) -> None:
    model = HostModel()
    async with Client(server, mode=mode, sampling_callback=model) as client:
        first = await data(client, "generate", {"prompt": "one", "thread": "new"})
        second = await data(client, "generate", {"prompt": "two", "thread": first["thread"]})
        agent = await data(client, "run_agent", {"prompt": "go", "servers": [], "model": "host:default"})
    assert (second["response"], agent["response"]) == ("heard 3", "heard 1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tools": [{"name": "t", "parameters": {"type": "object"}}]}, "cannot call tools"),
        ({"model": "host:other"}, "heard 1"),
    ],
)
async def test_what_sampling_cannot_carry_is_refused_before_the_host_is_bothered(
    server: Any, arguments: dict[str, Any], words: str
) -> None:
    model = HostModel()
    async with Client(server, mode="legacy", sampling_callback=model) as client:
        result = await client.call_tool("generate", {"prompt": "hi", "model": "host:default", **arguments})
    assert words in str(result.content[0].text)  # type: ignore[union-attr]
    assert len(model.asked) == (0 if result.is_error else 1)


async def test_a_person_who_declines_is_an_error_of_that_call_and_asked_once(server: Any) -> None:
    asked = []

    async def decline(context: Any, params: Any) -> Any:
        asked.append(params)
        raise MCPError(-1, "User rejected sampling request")

    async with Client(server, mode="legacy", sampling_callback=decline) as client:
        result = await client.call_tool("generate", {"prompt": "hi"})
    assert result.is_error
    assert "User rejected sampling request" in str(result.content[0].text)  # type: ignore[union-attr]
    assert len(asked) == 1


async def test_a_host_that_never_answers_holds_nothing_for_ever_and_is_asked_twice_at_a_time(server: Any) -> None:
    model = HostModel()
    model.go = anyio.Event()
    async with Client(server, mode="legacy", sampling_callback=model) as client:
        results: list[Any] = []

        async def ask(seconds: float) -> None:
            results.append(await client.call_tool("generate", {"prompt": "hi", "timeout_s": seconds}))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(ask, 0.5)
    assert len(results) == 5
    assert all(result.is_error for result in results)
    assert model.most == 2


async def test_a_key_comes_before_the_host_and_the_host_never_stands_in(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    model = HostModel()
    settings = {"discover": False, "retries": {"attempts": 1}}
    async with Client(build(configuration.load(overrides=settings)), mode="legacy", sampling_callback=model) as client:
        listed = await data(client, "list_models", {})
        result = await client.call_tool("generate", {"prompt": "hi"})
    assert str(listed["default"]).startswith("anthropic:")
    assert result.is_error
    assert model.asked == []


async def test_several_questions_to_the_host_are_handed_back_together_and_nothing_is_begun_anew(server: Any) -> None:
    model = HostModel()
    async with Client(server, sampling_callback=model) as client:
        prompts = {"prompts": ["one", "two", "three"], "models": ["host:default", "demo"]}
        compared = await data(client, "compare_models", prompts)
        listed = await data(client, "runs", {"action": "list"})
    answers = [one["response"] for one in compared["results"] if one["model"] == "host:default"]
    assert (answers, len(model.asked)) == (["heard 1"] * 3, 3)
    assert [run["kind"] for run in listed["runs"]].count("compare_models") == 1


async def test_a_repaired_answer_takes_another_round(server: Any) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    async def model(context: Any, params: Any) -> CreateMessageResult:
        words = '{"n": 3}' if len(params.messages) > 1 else "three"
        return CreateMessageResult(role="assistant", content=TextContent(type="text", text=words), model="m")

    async with Client(server, sampling_callback=model) as client:
        given = await data(client, "generate", {"prompt": "a number", "model": "host:default", "json_schema": schema})
    assert given["parsed"] == {"n": 3}


async def test_a_task_asks_for_the_hosts_model_by_its_own_methods(server: Any) -> None:
    from server.test_tasks import TakesTasks, ask, until

    async def nobody(context: Any, params: Any) -> Any:
        raise AssertionError("a task asks by tasks/get")

    async with Client(server, sampling_callback=nobody, extensions=[TakesTasks()]) as client:
        given = await client.call_tool("generate", {"prompt": "hi", "model": "host:default"})
        assert given.structured_content is not None
        task = given.structured_content["task"]["taskId"]
        asked = await until(client, task, "input_required")
        ((key, request),) = asked["inputRequests"].items()
        assert request["method"] == "sampling/createMessage"
        with pytest.raises(MCPError, match="no sampling result"):
            await ask(client, "update", task, input_responses={key: {"action": "accept"}})
        answer = {"role": "assistant", "content": {"type": "text", "text": "done"}, "model": "m"}
        await ask(client, "update", task, input_responses={key: answer})
        done = await until(client, task, "completed")
    assert done["result"]["structuredContent"]["response"] == "done"
