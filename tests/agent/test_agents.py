"""Agents as files and as delegates: what each is told, what it may have, and how deep they may stand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.scripted import MODEL, Scripted, call, do, names, opened, results, write_agent

from mcp_llm.agent.agents import outcome
from mcp_llm.agent.limits import Meter
from mcp_llm.agent.task import Limits, Task, Trace
from mcp_llm.errors import Denied, InvalidInput
from mcp_llm.runs.store import RunStore
from mcp_llm.types.chat import End
from mcp_llm.types.events import AgentStart, Finish, Resumed, Start
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mcp_llm.store.sqlite import Store
    from mcp_llm.types.chat import ChatRequest, Chunk

pytestmark = pytest.mark.anyio


class Each:
    """One script for each agent, told apart by the first word of its instruction."""

    def __init__(self, **scripts: Scripted) -> None:
        self.scripts = scripts

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        name = (request.system or "").split()[0].lower()
        async for chunk in self.scripts[name].stream(request, model):
            yield chunk


def agents(home: Path, **fronts: str) -> None:
    for name, front in fronts.items():
        write_agent(home, name, f'{front}\nmodel = "{MODEL}"', f"{name.capitalize()} is what you are.")


async def test_an_agent_is_its_file(home: Path) -> None:
    write_agent(home, "critic", f'model = "{MODEL}"\n[[arguments]]\nname = "tone"', "Be {{tone|kind}}.")
    model = Scripted("fine")
    async with opened(home, {"scripted": model}) as app:
        await do(app, Task(prompt="look", agent="critic", instruction="And short.", extra_context="It is a poem."))
        await do(app, Task(prompt="look", agent="critic", arguments={"tone": "harsh"}))
    assert [request.system for request in model.requests] == ["Be kind.\n\nAnd short.", "Be harsh."]
    assert model.requests[0].messages[0].text == "It is a poem.\n\nlook"


async def test_without_an_agent_the_usual_one_is_asked_and_an_instruction_replaces_it(home: Path) -> None:
    model = Scripted("fine")
    async with opened(home, {"scripted": model}) as app:
        await do(app, Task(prompt="look", model=MODEL))
        await do(app, Task(prompt="look", model=MODEL, instruction="Be brief."))
    assert (model.requests[0].system or "").startswith("You are an agent")
    assert model.requests[1].system == "Be brief."


async def test_a_delegate_is_a_run_of_its_own_and_counted_with_its_parent(home: Path) -> None:
    agents(home, boss='delegates = ["worker"]', worker="")
    boss = Scripted(call("ask_worker", {"task": "dig", "context": "a hole"}), "dug")
    worker = Scripted("a deep hole")
    events: list[dict[str, Any]] = []
    async with opened(home, {"scripted": Each(boss=boss, worker=worker)}) as app:
        result = await do(app, Task(prompt="go", agent="boss"), on_event=events.append)
        (child,) = await app.journals.list("local", parent=result.run_id)
    assert names(events) == [
        *("start", "model_start", "model_end", "tool_start", "agent_start", "agent_end", "tool_end"),
        *("model_start", "model_end", "finish"),
    ]
    started = next(event for event in events if event["event"] == "agent_start")
    assert (started["child_run"], started["depth"], started["agent"]) == (child.id, 1, "worker")
    assert (child.kind, child.status, child.result["response"]) == ("delegate", "finished", "a deep hole")
    assert worker.requests[0].messages[0].text == "a hole\n\ndig"
    assert results(boss.requests[1])[0][1] == "a deep hole"
    assert (result.usage.input, result.usage.output) == (300, 30)


async def test_delegates_whose_names_are_spelled_alike_as_tools_are_each_asked_themselves(home: Path) -> None:
    alike = ["team.x", "team_x", "team x", f"{'long' * 16}1", f"{'long' * 16}2"]
    write_agent(home, "boss", f'delegates = {json.dumps(alike)}\nmodel = "{MODEL}"', "Boss is what you are.")
    for name in alike:
        write_agent(home, name, f'model = "{MODEL}"', "Worker is what you are.")

    def all_of_them(request: ChatRequest) -> list[Any]:
        offered = [tool.name for tool in request.tools if tool.name.startswith("ask_")]
        return [call(name, {"task": name}, f"c{number}") for number, name in enumerate(offered)]

    events: list[dict[str, Any]] = []
    each = Each(boss=Scripted(all_of_them, "done"), worker=Scripted("yes"))
    async with opened(home, {"scripted": each}) as app:
        await do(app, Task(prompt="go", agent="boss"), on_event=events.append)
    asked = {event["call_id"]: event["agent"] for event in events if event["event"] == "agent_start"}
    assert sorted(asked.values()) == sorted(alike)
    offered = [tool.name for tool in each.scripts["boss"].requests[0].tools]
    assert "ask_team_x" in offered
    assert max(map(len, offered)) <= 64


async def test_a_delegate_that_fails_is_told_to_its_parent(home: Path) -> None:
    agents(home, boss='delegates = ["worker"]', worker="")
    boss = Scripted(call("ask_worker", {"task": "dig"}), "a pity")
    worker = Scripted(["no", End(stop="content_filter", usage=Usage(input=1, output=1))])
    async with opened(home, {"scripted": Each(boss=boss, worker=worker)}) as app:
        result = await do(app, Task(prompt="go", agent="boss"))
    assert result.response == "a pity"
    assert results(boss.requests[1])[0][2] is True


async def test_agents_cannot_ask_in_a_circle(home: Path) -> None:
    agents(home, boss='delegates = ["worker"]', worker='delegates = ["boss"]')
    boss = Scripted(call("ask_worker", {"task": "x"}), "done")
    worker = Scripted(call("ask_boss", {"task": "y"}), "I cannot")
    async with opened(home, {"scripted": Each(boss=boss, worker=worker)}) as app:
        await do(app, Task(prompt="go", agent="boss"))
        assert len(await app.journals.list("local")) == 2
    assert "waiting for this very answer (boss -> worker -> boss)" in results(worker.requests[1])[0][1]


async def test_delegates_stand_only_so_deep(home: Path) -> None:
    agents(home, a='delegates = ["b"]', b='delegates = ["c"]', c="")
    scripts = {
        "a": Scripted(call("ask_b", {"task": "x"}), "done"),
        "b": Scripted(call("ask_c", {"task": "x"}), "alone"),
        "c": Scripted("never"),
    }
    async with opened(home, {"scripted": Each(**scripts)}) as app:
        await do(app, Task(prompt="go", agent="a", budget=Limits(depth=1)))
    assert scripts["c"].requests == []
    assert "may not stand deeper" in results(scripts["b"].requests[1])[0][1]


async def test_a_delegate_has_no_server_that_its_caller_was_not_given(home: Path) -> None:
    servers = {name: {"command": "no-such-program"} for name in ("files", "shell")}
    agents(home, boss='delegates = ["worker"]', worker='servers = ["files", "shell"]')
    wider = {"task": "dig", "tools": ["*"], "roots": ["/"]}
    boss = Scripted(call("ask_worker", wider, "a"), call("ask_worker", {"task": "dig"}, "b"), "done")
    worker = Scripted("dug")
    async with opened(home, {"scripted": Each(boss=boss, worker=worker)}, servers=servers) as app:
        await do(app, Task(prompt="go", agent="boss", servers=("files",)))
        children = await app.journals.list("local", limit=5)
    assert results(boss.requests[1])[-1][2]  # neither tools nor roots can be asked for
    assert "missing: files." in (worker.requests[0].system or "")
    assert len(children) == 2


async def test_an_unknown_delegate_is_found_before_the_run(home: Path) -> None:
    agents(home, boss='delegates = ["wroker"]', worker="")
    async with opened(home, {"scripted": Scripted("x")}) as app:
        with pytest.raises(InvalidInput, match="did you mean 'worker'"):
            await do(app, Task(prompt="go", agent="boss"))


async def test_what_another_server_sends_can_only_shrink_what_is_usual(home: Path) -> None:
    agents(home, boss='delegates = ["worker"]', worker="")
    boss = Scripted(call("ask_worker", {"task": "x"}), "alone")
    trace = Trace(root="r", run_id="p", depth=5, budget=Limits(usd=1000.0, turns=2, depth=50))
    async with opened(home, {"scripted": Each(boss=boss, worker=Scripted("never"))}) as app:
        result = await do(app, Task(prompt="go", agent="boss", trace=trace))
        with pytest.raises(Denied, match="levels deep"):
            await do(app, Task(prompt="go", agent="boss", trace=trace.model_copy(update={"depth": 6})))
        with pytest.raises(Denied, match="waiting for this very answer"):
            await do(app, Task(prompt="go", agent="boss", trace=trace.model_copy(update={"path": ("boss",)})))
    assert result.turns == 2
    assert "may not stand deeper" in results(boss.requests[1])[0][1]


class Late(RunStore):
    """At the second look at a run that waits for a person, the person has answered and the run has ended."""

    looks = 0

    async def position(self, run_id: str, principal: str) -> tuple[str, int]:
        self.looks += 1
        if self.looks == 2 and (journal := self.driven(run_id)) is not None:
            await journal.finish(Finish(), result={"response": "done", "model": "m", "run_id": run_id})
        return await super().position(run_id, principal)


async def test_a_delegate_that_ends_while_it_is_looked_at_keeps_nobody_waiting(store: Store) -> None:
    runs = Late(store)
    journal = await runs.create("delegate", {}, "me")
    await journal.mark(Start(prompt="x"), status="waiting")
    with anyio.fail_after(20):
        found = await outcome(runs, journal.run_id, "me")
    assert found is not None
    assert found.response == "done"


def test_a_delegate_that_is_gone_on_with_is_counted_once() -> None:
    begun = AgentStart(agent="a", child_run="c1", call_id="1", prompt="x")
    other = AgentStart(agent="a", child_run="c2", call_id="2", prompt="x")
    meter = Meter("run", Limits(seconds=60.0))
    meter.replay([begun, other, Resumed(after=1, attempt=2), begun, other])
    assert meter.children == 2
