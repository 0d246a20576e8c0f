"""An agent over a real MCP server in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from agent.scripted import MODEL, Scripted, call, do, names, opened, results

from mcp_llm.agent.task import Limits, Task

pytestmark = pytest.mark.anyio
SERVER = Path(__file__).parent / "server.py"


def figures(tmp_path: Path, **more: Any) -> dict[str, Any]:
    """The settings of the server."""
    return {"command": sys.executable, "args": [str(SERVER), str(tmp_path / "notes")], **more}


async def test_tools_of_a_server_are_called_under_its_name(home: Path, tmp_path: Path) -> None:
    model = Scripted(
        [call("figures__add", {"a": 2, "b": 3}), call("figures__note", {"line": "five"})], "the sum is five"
    )
    events: list[dict[str, Any]] = []
    async with opened(home, {"scripted": model}, servers={"figures": figures(tmp_path)}) as app:
        result = await do(app, "add", on_event=events.append)
    offered = [tool.name for tool in model.requests[0].tools]
    assert offered == ["read_more", "figures__add", "figures__die", "figures__note", "figures__wipe"]
    assert [text for _, text, _ in results(model.requests[1])] == ["5", "noted five"]
    assert (result.response, result.calls) == ("the sum is five", 2)
    assert sorted(names(events)[3:7]) == ["tool_end", "tool_end", "tool_start", "tool_start"]
    assert (tmp_path / "notes").read_text() == "five\n"


async def test_a_server_that_cannot_be_started_costs_its_tools_only(home: Path, tmp_path: Path) -> None:
    servers = {"figures": figures(tmp_path), "broken": {"command": "no-such-program-anywhere"}}
    model = Scripted(call("figures__add", {"a": 1, "b": 1}), "two")
    async with opened(home, {"scripted": model}, servers=servers) as app:
        result = await do(app, "add")
    assert result.response == "two"
    assert any("broken" in words for words in result.warnings)
    assert "could not be opened" in (model.requests[0].system or "")


async def test_a_server_that_dies_in_a_call_is_an_error_for_the_model(home: Path, tmp_path: Path) -> None:
    model = Scripted(call("figures__die"), "it died")
    async with opened(home, {"scripted": model}, servers={"figures": figures(tmp_path)}) as app:
        with anyio.fail_after(60):
            result = await do(app, "die")
    assert result.response == "it died"
    assert results(model.requests[1])[0][2] is True


async def test_what_may_destroy_is_not_called_without_a_yes(home: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("dear\n")
    model = Scripted(call("figures__wipe"), "well")
    settings: dict[str, Any] = {"servers": {"figures": figures(tmp_path)}, "agents": {"approval_s": 0.1}}
    async with opened(home, {"scripted": model}, **settings) as app:
        await do(app, "wipe")
    assert (tmp_path / "notes").read_text() == "dear\n"


@pytest.mark.parametrize(
    ("tools", "offered"),
    [
        (("add", "no*"), ["read_more", "figures__add", "figures__note"]),
        (("other__*",), []),
    ],
)
async def test_only_allowed_tools_are_offered(
    home: Path, tmp_path: Path, tools: tuple[str, ...], offered: list[str]
) -> None:
    model = Scripted(call("figures__wipe"), "well")
    (tmp_path / "notes").write_text("dear\n")
    async with opened(home, {"scripted": model}, servers={"figures": figures(tmp_path)}) as app:
        await do(app, Task(prompt="go", model=MODEL, tools=tools))
    assert [tool.name for tool in model.requests[0].tools] == offered
    assert (tmp_path / "notes").read_text() == "dear\n"


async def test_servers_are_those_named_else_the_usual_ones(home: Path, tmp_path: Path) -> None:
    model = Scripted("well")
    settings: dict[str, Any] = {"servers": {"figures": figures(tmp_path)}, "agents": {"servers": ["f*"]}}
    async with opened(home, {"scripted": model}, **settings) as app:
        await do(app, Task(prompt="go", model=MODEL))
        await do(app, Task(prompt="go", model=MODEL, servers=()))
    settings["agents"] = {"servers": []}
    async with opened(home, {"scripted": model}, **settings) as app:
        await do(app, Task(prompt="go", model=MODEL))
        await do(app, Task(prompt="go", model=MODEL, servers=("figures",)))
    assert [len(request.tools) for request in model.requests] == [5, 0, 0, 5]


async def test_a_tool_that_no_server_has_is_told_to_whoever_named_it(home: Path, tmp_path: Path) -> None:
    model = Scripted("well")
    async with opened(home, {"scripted": model}, servers={"figures": figures(tmp_path)}) as app:
        named = await do(app, Task(prompt="go", model=MODEL, servers=("figures",), tools=("nosuch", "figures__*")))
        alone = await do(app, Task(prompt="go", model=MODEL, servers=(), tools=("nosuch",)))
    (words,) = named.warnings
    assert words.startswith("`tools` names 'nosuch', which no server of this run has; there are figures__")
    assert alone.warnings == ("`tools` names 'nosuch', which no server of this run has; there are none",)


async def test_another_server_of_ours_is_told_where_it_stands_and_what_is_left(home: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    other = {
        "command": sys.executable,
        "args": ["-m", "mcp_llm"],
        "env": {"MCP_LLM_HOME": str(theirs), "MCP_LLM_DISCOVER": "0"},
        "approve": {"run_agent": "allow"},
    }
    asked = {"prompt": "one two", "model": "demo", "budget_usd": 1000}
    model = Scripted(call("other__run_agent", asked), "they said it")
    async with opened(home, {"scripted": model}, servers={"other": other}) as app:
        task = Task(prompt="ask them", model=MODEL, budget=Limits(usd=0.5))
        result = await do(app, task)
    assert "It was given 2 words: one two" in results(model.requests[1])[0][1]
    async with opened(theirs, {}) as app:
        (run,) = await app.journals.list("local")
    trace = run.request["trace"]
    assert (trace["root"], trace["run_id"], trace["depth"]) == (result.run_id, result.run_id, 1)
    assert 0 < trace["budget"]["usd"] < 0.25
    assert trace["budget"]["depth"] == 4
