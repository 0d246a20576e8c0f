"""The tasks extension through a real client: long calls become tasks, which are their runs, also after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import anyio
import pytest
from agent.scripted import Scripted, call
from mcp import Client, MCPError
from mcp.client.extension import ClientExtension, ResultClaim, advertise
from mcp.types import CallToolResult, ElicitResult, Request, RequestParams, Result
from pydantic import ConfigDict
from server.principals import acting_as
from server.test_run_agent import House, runs

from mcp_llm import config as configuration
from mcp_llm.server.build import build
from mcp_llm.server.declared import TASKS as EXTENSION

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Params(RequestParams):
    task_id: str
    input_responses: dict[str, Any] | None = None


class Ask(Request[Params, str]):
    method: str


class State(Result):
    """Any answer about a task."""

    model_config = ConfigDict(extra="allow")

    result_type: Literal["task"] = "task"
    task_id: str = ""
    status: str = ""


class TakesTasks(ClientExtension):
    """Declares the extension and keeps each task instead of following it."""

    identifier = EXTENSION

    def claims(self) -> Any:
        async def resolve(task: State, context: Any) -> CallToolResult:
            # Marked as an error, so that the client does not hold it against the tool's schema.
            kept = {"task": task.model_dump(by_alias=True)}
            return CallToolResult(content=[], structured_content=kept, is_error=True)

        return (ResultClaim(result_type="task", model=State, resolve=resolve),)


class Anything(Result):
    model_config = ConfigDict(extra="allow")


async def ask(client: Client, method: str, task_id: str, **more: Any) -> dict[str, Any]:
    request = Ask(method=f"tasks/{method}", params=Params(task_id=task_id, **more))
    return (await client.session.send_request(request, Anything)).model_dump(by_alias=True)


async def until(client: Client, task_id: str, *states: str) -> dict[str, Any]:
    with anyio.fail_after(60):
        while (found := await ask(client, "get", task_id))["status"] not in states:
            await client.list_tools(cache_mode="refresh")
    return found


async def begin(client: Client, tool: str, arguments: dict[str, Any]) -> str:
    given = await client.call_tool(tool, {"wait_s": 0.05, **arguments})
    assert given.structured_content is not None, given
    task = given.structured_content["task"]
    assert (task["resultType"], task["status"], task["ttlMs"]) == ("task", "working", None)
    return str(task["taskId"])


class Slow(Scripted):
    """Answers once it may."""

    def __init__(self, *script: Any) -> None:
        super().__init__(*script)
        self.go = anyio.Event()

    async def stream(self, request: Any, model: str) -> Any:
        await self.go.wait()
        async for chunk in super().stream(request, model):
            yield chunk


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("generate", {"prompt": "hi", "model": "scripted:m"}),
        ("compare_models", {"prompt": "hi", "models": ["scripted:m", "demo"]}),
        ("run_agent", {"prompt": "hi", "model": "scripted:m", "servers": []}),
    ],
)
async def test_a_long_call_is_a_task_that_ends_with_what_the_call_would_have_given(
    home: Path, tool: str, arguments: dict[str, Any]
) -> None:
    house, model = House(home), Slow("at last")
    async with Client(house.server, extensions=[TakesTasks()]) as client:
        house.opened[0].register("scripted", model)
        task = await begin(client, tool, arguments)
        assert (await ask(client, "get", task))["status"] == "working"
        model.go.set()
        done = await until(client, task, "completed")
        direct = await client.call_tool(tool, arguments)
    result = CallToolResult.model_validate(done["result"])
    assert result.structured_content is not None
    assert direct.structured_content is not None
    assert set(result.structured_content) == set(direct.structured_content)
    assert "at last" in str(result.content[0].text)  # type: ignore[union-attr]
    assert result.structured_content["run_id"] == task


async def test_a_short_call_is_answered_at_once(server: Any) -> None:
    async with Client(server, extensions=[TakesTasks()]) as client:
        given = await client.call_tool("generate", {"prompt": "hi", "model": "demo"})
    assert given.structured_content is not None
    assert given.structured_content["finish_reason"] == "stop"


async def test_a_client_without_the_extension_gets_no_task_and_may_ask_for_none(home: Path) -> None:
    house = House(home)
    async with Client(house.server) as client:
        house.opened[0].register("scripted", Slow("never"))
        given = await client.call_tool("generate", {"prompt": "hi", "model": "scripted:m", "wait_s": 0.05})
        assert given.structured_content is not None
        run_id = given.structured_content["run_id"]
        assert given.structured_content["status"] == "running"
        for method in ("get", "cancel"):
            with pytest.raises(MCPError) as told:
                await ask(client, method, run_id)
            assert told.value.error.code == -32021
            assert told.value.error.data == {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
    async with Client(house.server, mode="legacy", extensions=[advertise(EXTENSION)]) as client:
        with pytest.raises(MCPError, match="Method not found"):
            await ask(client, "get", run_id)


async def test_a_task_asks_and_goes_on_with_the_answer(home: Path) -> None:
    house = House(home)
    house.notes.write_text("dear\n")

    async def nobody(context: Any, params: Any) -> ElicitResult:
        raise AssertionError("a task asks by tasks/get")

    async with Client(house.server, extensions=[TakesTasks()], elicitation_callback=nobody) as client:
        house.opened[0].register("scripted", Scripted(call("figures__wipe"), "well"))
        given = await client.call_tool("run_agent", {"prompt": "go", "model": "scripted:m", "servers": ["figures"]})
        assert given.structured_content is not None
        task = given.structured_content["task"]["taskId"]
        asked = await until(client, task, "input_required")
        ((key, request),) = asked["inputRequests"].items()
        assert "figures__wipe" in request["params"]["message"]
        await ask(client, "update", task, input_responses={"unasked": {"action": "accept"}})
        assert (await ask(client, "get", task))["inputRequests"].keys() == {key}
        with pytest.raises(MCPError, match="no elicitation result"):
            await ask(client, "update", task, input_responses={key: "yes"})
        yes = {"action": "accept", "content": {"approve": True}}
        await ask(client, "update", task, input_responses={key: yes})
        done = await until(client, task, "completed")
        await ask(client, "update", task, input_responses={key: yes})
    assert (done["result"]["structuredContent"]["response"], house.notes.read_text()) == ("well", "")


async def test_a_client_that_shows_no_forms_is_told_who_can_answer(home: Path) -> None:
    house = House(home)
    house.notes.write_text("dear\n")
    async with Client(house.server, extensions=[TakesTasks()]) as client:
        house.opened[0].register("scripted", Scripted(call("figures__wipe"), "well"))
        given = await client.call_tool("run_agent", {"prompt": "go", "model": "scripted:m", "servers": ["figures"]})
        assert given.structured_content is not None
        task = given.structured_content["task"]["taskId"]
        found = await ask(client, "get", task)
        assert (found["status"], "inputRequests" in found) == ("working", False)
        assert 'runs(action="answer"' in found["statusMessage"]
        await runs(client, action="answer", run_id=task, answer=False)
        done = await until(client, task, "completed")
    assert (done["result"]["structuredContent"]["response"], house.notes.read_text()) == ("well", "dear\n")


async def test_a_task_is_cancelled_and_a_second_time_changes_nothing(home: Path) -> None:
    house = House(home)
    async with Client(house.server, extensions=[TakesTasks()]) as client:
        house.opened[0].register("scripted", Slow("never"))
        task = await begin(client, "generate", {"prompt": "hi", "model": "scripted:m"})
        for _ in range(2):
            acknowledged = await ask(client, "cancel", task)
            assert acknowledged.keys() <= {"resultType", "_meta"}
            assert (await until(client, task, "cancelled"))["statusMessage"] == "cancelled by the user"


async def test_a_failed_call_is_a_completed_task_with_an_error_and_a_fault_of_ours_a_failed_one(home: Path) -> None:
    from mcp_llm.errors import Overloaded

    class Fails(Slow):
        async def stream(self, request: Any, model: str) -> Any:
            await self.go.wait()
            if request.messages[-1].text == "break":
                raise RuntimeError("secret")
            if request:
                raise Overloaded("too many at once")
            yield

    house, model = House(home, retries={"attempts": 1}), Fails()
    async with Client(house.server, extensions=[TakesTasks()]) as client:
        house.opened[0].register("scripted", model)
        refused = await begin(client, "generate", {"prompt": "hi", "model": "scripted:m"})
        broken = await begin(client, "generate", {"prompt": "break", "model": "scripted:m"})
        model.go.set()
        first = await until(client, refused, "completed", "failed")
        second = await until(client, broken, "completed", "failed")
    assert (first["status"], first["result"]["isError"]) == ("completed", True)
    assert "too many at once" in first["result"]["content"][0]["text"]
    assert "secret" not in str(second)


async def test_tasks_are_there_after_a_restart_finished_or_cut_off(home: Path) -> None:
    house, quick = House(home), Slow("done")
    async with Client(house.server, extensions=[TakesTasks()]) as client:
        house.opened[0].register("scripted", quick)
        finished = await begin(client, "generate", {"prompt": "hi", "model": "scripted:m"})
        quick.go.set()
        await until(client, finished, "completed")
        house.opened[0].register("scripted", Slow("never"))
        cut_off = await begin(client, "generate", {"prompt": "again", "model": "scripted:m"})
    again = build(configuration.load(overrides={"discover": False}))
    async with Client(again, extensions=[TakesTasks()]) as client:
        first = await ask(client, "get", finished)
        second = await until(client, cut_off, "completed")
    assert first["result"]["structuredContent"]["response"] == "done"
    assert second["result"]["isError"]
    assert f'runs(action="resume", run_id="{cut_off}")' in second["result"]["content"][0]["text"]


async def test_somebody_elses_task_is_as_unknown_as_one_that_never_was(home: Path) -> None:
    house = House(home)
    with acting_as("ann"):
        async with Client(house.server, extensions=[TakesTasks()]) as ann:
            house.opened[0].register("scripted", Slow("never"))
            task = await begin(ann, "generate", {"prompt": "hi", "model": "scripted:m"})
            with acting_as("bob"):
                async with Client(house.server, extensions=[TakesTasks()]) as bob:
                    for method in ("get", "cancel", "update"):
                        for one in (task, "0" * 32, "../state.db"):
                            with pytest.raises(MCPError) as told:
                                await ask(bob, method, one, input_responses={})
                            assert told.value.error.code == -32602
                            assert str(told.value).replace(one, "") == (
                                "there is no run ''; the run id is at the end of every answer"
                            )
            assert (await ask(ann, "get", task))["status"] == "working"
