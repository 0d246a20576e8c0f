"""What pages are told of runs, spending and settings: whole, bounded, the caller's own, and nothing twice."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.scripted import Scripted, call, do, opened, write_agent

from mcp_llm.agent.task import Limits, Task
from mcp_llm.errors import InvalidInput
from mcp_llm.llm.ledger import Entry
from mcp_llm.server.pages import told, usage, view
from mcp_llm.toolsets.functions import Function, Functions
from mcp_llm.types.chat import ChatResponse
from mcp_llm.types.events import ModelEnd, ModelStart, TextEvent, ThinkingEvent, ToolEnd
from mcp_llm.types.message import Text, assistant

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.types.events import Event

pytestmark = pytest.mark.anyio
ME = "local"


def whole(text: str, seq: int) -> ModelEnd:
    return ModelEnd(step=0, response=ChatResponse(message=assistant(Text(text)), stop="stop"), seq=seq)


def test_words_that_a_whole_reply_repeats_are_told_once() -> None:
    events: list[Event] = [
        ModelStart(step=0, seq=0),
        ThinkingEvent(summary="hm", seq=1),
        TextEvent(text="hel", seq=2),
        TextEvent(text="lo", seq=3),
        whole("hello", 4),
        ModelStart(step=1, seq=5),
        TextEvent(text="and", seq=6),
    ]
    assert [one["seq"] for one in told.told(events)] == [0, 4, 5, 6]


def test_long_words_and_results_are_cut_and_say_so() -> None:
    long = "x" * 50_000
    end = told.one(ToolEnd(tool="t", call_id="c", args={"a": long}, result=long))
    assert {len(end["args"]) < 7000, len(end["result"]) < 7000} == {True}
    assert end["result"].endswith("44,000 more characters")
    assert told.one(whole(long, 0))["text"].endswith("more characters")


async def test_a_tree_is_told_with_its_budget_and_then_only_what_is_new(home: Path) -> None:
    write_agent(home, "helper", 'model = "helper:m"')
    write_agent(home, "lead", 'delegates = ["helper"]\n[budget]\nturns = 7')
    model = Scripted(call("ask_helper", {"task": "help"}), "done")
    async with opened(home, {"scripted": model, "helper": Scripted("helped")}, prices={}) as app:
        task = Task(prompt="go", model="scripted:m", agent="lead", budget=Limits(tokens=90_000))
        result = await do(app, task)
        first = await view.looked(app, ME, result.run_id)
        second = await view.looked(app, ME, result.run_id, first["after"])
    lead, helper = first["tree"]
    assert (lead["agent"], helper["agent"], helper["parent"]) == ("lead", "helper", result.run_id)
    assert {event["run_id"] for event in first["events"]} == {lead["id"], helper["id"]}
    assert [event["ts"] for event in first["events"]] == sorted(event["ts"] for event in first["events"])
    assert first["budget"]["limits"]["turns"] == 7
    assert first["budget"]["limits"]["tokens"] == 90_000
    assert second.keys() == {"after", "now"}


async def test_a_look_waits_for_news_and_has_them_soon(home: Path) -> None:
    gate = anyio.Event()

    class Slow(Scripted):
        async def stream(self, request: Any, model: str) -> Any:
            await gate.wait()
            async for chunk in super().stream(request, model):
                yield chunk

    async with opened(home, {"scripted": Slow("at last")}) as app, anyio.create_task_group() as tasks:
        run_id = "b" * 32
        tasks.start_soon(lambda: do(app, Task(prompt="go", model="scripted:m", servers=()), run_id=run_id))
        with anyio.fail_after(30):
            found: dict[str, Any] = {"events": []}
            while not any(event["event"] == "model_start" for event in found["events"]):
                try:
                    found = await view.looked(app, ME, run_id)
                except InvalidInput:  # it has not begun
                    await anyio.sleep(0.01)
            assert (await view.looked(app, ME, run_id, found["after"], 0.05)).keys() == {"after", "now"}
            gate.set()
            while found.get("run", {}).get("status") != "finished":
                found = {**found, **await view.looked(app, ME, run_id, found["after"], 20)}
    assert found["result"]["response"] == "at last"


async def test_many_events_come_in_parts_and_none_is_lost(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MOST", 3)
    write_agent(home, "helper", 'model = "helper:m"')
    write_agent(home, "lead", 'delegates = ["helper"]')
    model = Scripted(call("ask_helper", {"task": "help"}), "done")
    async with opened(home, {"scripted": model, "helper": Scripted("helped")}, prices={}) as app:
        result = await do(app, Task(prompt="go", model="scripted:m", agent="lead", budget=Limits(tokens=90_000)))
        events = await app.journals.events(result.run_id)
        seen: list[tuple[str, int]] = []
        after, more = "", True
        while more:
            found = await view.looked(app, ME, result.run_id, after)
            seen += [(event["run_id"], event["seq"]) for event in found["events"]]
            after, more = found["after"], found["more"]
    assert len(seen) == len(set(seen))
    lasting = {(one.run_id, one.seq) for one in events if one.event not in {"text", "thinking"}}
    assert lasting <= set(seen)
    assert len({name for name, _ in seen}) == 2


async def test_no_look_is_larger_than_a_host_can_carry(home: Path) -> None:
    def talk(number: int) -> str:
        return f"{number} " + "x" * 100_000

    tools = Functions([Function(talk, approval="allow")])
    turns = [[call("talk", {"number": turn + n}, id=f"c{turn + n}") for n in range(30)] for turn in range(0, 150, 30)]
    script = [*turns, "y" * 1_000_000]
    async with opened(home, {"scripted": Scripted(*script)}, agents={"calls_a_turn": 32}) as app:
        task = Task(prompt="z" * 500_000, model="scripted:m", budget=Limits(usd=1000))
        result = await do(app, task, toolsets=[tools])
        sizes, after, more, ends = [], "", True, 0
        while more:
            found = await view.looked(app, ME, result.run_id, after)
            sizes.append(len(json.dumps(found)))
            after, more = found["after"], found["more"]
            ends += sum(event["event"] == "tool_end" for event in found["events"])
    assert len(sizes) > 1
    assert max(sizes) < 900_000
    assert ends == 150


async def test_somebody_elses_run_is_as_unknown_as_none(home: Path) -> None:
    async with opened(home, {"scripted": Scripted("mine")}) as app:
        result = await do(app, Task(prompt="go", model="scripted:m", servers=()))
        with pytest.raises(InvalidInput) as foreign:
            await view.looked(app, "somebody", result.run_id)
        with pytest.raises(InvalidInput) as none:
            await view.looked(app, "somebody", "c" * 32)
        assert (await view.listed(app, "somebody"))["runs"] == []
    assert str(foreign.value).replace(result.run_id, "") == str(none.value).replace("c" * 32, "")


async def test_parts_of_a_run_are_listed_with_it_alone(home: Path) -> None:
    from mcp_llm.compare.asked import Comparison
    from mcp_llm.compare.operation import compare

    async with opened(home, {"scripted": Scripted("one")}) as app:
        found = await compare(app, Comparison(prompt="which?", models=["scripted:m", "scripted:n"]))
        await app.store.flush()
        listed = (await view.listed(app, ME))["runs"]
        looked = await view.looked(app, ME, found.run_id)
    assert [(one["id"], one["prompt"]) for one in listed] == [(found.run_id, "which?")]
    assert looked["run"]["prompts"] == ["which?"]
    assert [one["model"] for one in looked["result"]["models"]] == ["scripted:m", "scripted:n"]
    assert [one["id"] for one in looked["tree"]] == [found.run_id]


async def test_what_was_spent_has_every_day_and_no_zero_for_what_is_unknown(home: Path) -> None:
    now = time.time_ns() // 1_000_000
    async with opened(home, {}) as app:
        for usd, day in ((Decimal("0.5"), 0), (None, 0), (None, 1)):
            app.purse.ledger.add(Entry(ts=now - day * 86_400_000, provider="p", model="m", usd=usd, input=10))
        await app.store.flush()
        found = await usage.spent(app, "3d")
    assert [(one["calls"], one["usd"], one["unpriced_calls"]) for one in found["day"]] == [
        (0, 0.0, 0),
        (1, None, 1),
        (2, 0.5, 1),
    ]
    assert (found["total"]["usd"], found["total"]["unpriced_calls"], found["total"]["output"]) == (0.5, 2, None)
    assert [(one["key"], one["usd"]) for one in found["model"]] == [("p:m", 0.5)]


@pytest.mark.parametrize("since", ["", "0d", "401d", "7h", "1e9d", "-1d", "٣d"])
async def test_an_odd_time_is_refused(home: Path, since: str) -> None:
    async with opened(home, {}) as app:
        with pytest.raises(InvalidInput, match="`since` is"):
            await usage.spent(app, since)
