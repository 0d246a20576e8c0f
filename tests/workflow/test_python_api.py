"""`run_workflow` in Python: from a file, a name, text or a dict, with the events as they come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import mcp_llm
from mcp_llm.background import opened
from mcp_llm.errors import InvalidInput, WorkflowError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio
TEXT = """name: hello
inputs: {who: string}
tasks:
- {id: greet, method: llm/generate, parameters: {prompt: "Hello ${inputs.who}", model: demo}}
"""


@pytest.fixture(autouse=True)
async def closing(home: Path) -> AsyncIterator[None]:
    (home / "mcp_llm.toml").write_text("discover = false\n")
    yield
    await opened.close()


async def test_every_way_of_giving_a_workflow_gives_the_same(home: Path) -> None:
    (home / "workflows").mkdir()
    (home / "workflows" / "hello.yaml").write_text(TEXT)
    Path("here.yaml").write_text(TEXT)  # noqa: ASYNC240 - small and local
    task = {"id": "greet", "method": "llm/generate", "parameters": {"prompt": "Hello ${inputs.who}", "model": "demo"}}
    given: list[Any] = [
        *(TEXT, "hello", "here.yaml", Path("here.yaml")),
        {"name": "hello", "inputs": {"who": {"type": "string"}}, "tasks": [task]},
    ]
    results = [await mcp_llm.run_workflow(one, {"who": "you"}) for one in given]
    assert {one.response for one in results} == {results[0].response}
    assert "Hello you" in results[0].response
    assert isinstance(results[0], mcp_llm.WorkflowResult)


async def test_events_come_as_dicts_and_end_once() -> None:
    events: list[dict[str, Any]] = []
    result = await mcp_llm.run_workflow(TEXT, {"who": "you"}, on_event=events.append, run_id="e" * 32)
    assert [event["event"] for event in events if event["event"] != "text"] == [
        *("start", "task_start", "task_end", "finish")
    ]
    assert {event["run_id"] for event in events} == {result.run_id} == {"e" * 32}


async def test_what_is_wrong_is_raised_before_anything_runs() -> None:
    with pytest.raises(WorkflowError, match="task a: `method` is missing"):
        await mcp_llm.run_workflow({"name": "x", "tasks": [{"id": "a"}]})
    with pytest.raises(InvalidInput, match="hello: the input `who` is missing"):
        await mcp_llm.run_workflow(TEXT)
    with pytest.raises(InvalidInput, match="there is no workflow 'nothing'"):
        await mcp_llm.run_workflow("nothing")


async def test_functions_of_the_process_are_methods_as_objects() -> None:
    class Adder:
        def get_supported_methods(self) -> list[str]:
            return ["add"]

        def handle_request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
            return {"response": str(params["a"] + params["b"]), "sum": params["a"] + params["b"]}

    mcp_llm.register_provider("adder", Adder())
    text = "name: x\ntasks:\n- {id: a, method: adder/add, parameters: {a: 1, b: 2}}\n"
    text += "- {id: b, method: adder/add, parameters: {a: '${a.sum}', b: 4}}\n"
    assert (await mcp_llm.run_workflow(text)).response == "7"


async def test_what_is_too_long_to_be_a_files_name_is_no_workflow() -> None:
    with pytest.raises(InvalidInput, match="there is no workflow 'aaa"):
        await mcp_llm.run_workflow("a" * 300)
