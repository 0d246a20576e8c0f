"""Going on from a step of a recorded run with another model: nothing before it is asked, called or paid again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agent.scripted import MODEL, PRICES, Scripted, call, do, opened, results

from mcp_llm.agent.rerun import asked, before, rerun
from mcp_llm.agent.resuming import Agents
from mcp_llm.agent.task import Limits, Task
from mcp_llm.errors import InvalidInput
from mcp_llm.runs import recording
from mcp_llm.runs.resume import Resumers, drive
from mcp_llm.toolsets.functions import Function, Functions
from mcp_llm.types.events import ModelEnd, Start, ToolStart
from mcp_llm.types.result import Cost, Tokens

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.app import App

pytestmark = pytest.mark.anyio
OTHER = "other:n"
BOTH = {**PRICES, OTHER: PRICES[MODEL]}


class Notes:
    """A tool whose effects are counted."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.tools = [Functions([Function(self.note, read_only=False, idempotent=False)])]

    def note(self, line: str) -> str:
        self.written.append(line)
        return f"noted {line}"


@pytest.fixture
def notes() -> Notes:
    return Notes()


async def first(app: App, notes: Notes, task: Task | str = "go") -> recording.Recording:
    """A run of three steps: note one, note two, done."""
    result = await do(app, task, toolsets=notes.tools)
    return await recording.take(app.journals, result.run_id, "local")


def script() -> Scripted:
    return Scripted(call("note", {"line": "one"}, "c1"), call("note", {"line": "two"}, "c2"), "done")


async def test_the_steps_before_are_taken_and_the_rest_is_live(home: Path, notes: Notes) -> None:
    model, other = script(), Scripted(call("note", {"line": "three"}, "c3"), "finished")
    async with opened(home, {"scripted": model, "other": other}, prices=BOTH) as app:
        found = await first(app, notes)
        result = await rerun(app, app.journals, found, step=1, model=OTHER, toolsets=notes.tools)
        again = await recording.take(app.journals, result.run_id, "local")
        await app.store.flush()
        paid = await app.store.query("SELECT provider FROM ledger WHERE run_id = ?", (result.run_id,))
    assert notes.written == ["one", "two", "three"]
    assert (len(model.requests), len(other.requests)) == (3, 2)
    assert results(other.requests[0]) == [("c1", "noted one", False)]
    assert (result.response, result.turns, result.calls, result.warnings) == ("finished", 3, 2, ())
    assert (result.usage.input, result.usage.output, paid) == (200, 20, [("other",), ("other",)])
    assert result.cost == Cost(usd=2 * (100 * 10 + 10 * 100) / 1e6, source="user", priced_at=result.cost.priced_at)
    start = again.events[0]
    assert (start.event, start.seq, getattr(start, "rerun_of", None), getattr(start, "rerun_step", None)) == (
        *("start", 0, found.id, 1),
    )
    taken = next(event for event in again.events if isinstance(event, ModelEnd))
    assert (taken.usage, taken.cost) == (Tokens(), Cost(usd=0.0, source="recorded"))
    assert [event.seq for event in again.events] == list(range(len(again.events)))


async def test_from_its_first_step_everything_is_new(home: Path, notes: Notes) -> None:
    other = Scripted("at once")
    async with opened(home, {"scripted": script(), "other": other}, prices=BOTH) as app:
        found = await first(app, notes)
        result = await rerun(app, app.journals, found, model=OTHER, toolsets=notes.tools, budget=Limits(turns=4))
    assert (result.response, result.turns, len(other.requests)) == ("at once", 1, 1)
    assert [message.text for message in other.requests[0].messages] == ["go"]


async def test_without_a_model_the_same_one_is_asked(home: Path, notes: Notes) -> None:
    model = script()
    async with opened(home, {"scripted": model}) as app:
        found = await first(app, notes)
        result = await rerun(app, app.journals, found, step=2, toolsets=notes.tools)
    assert (result.response, len(model.requests), notes.written) == ("done", 4, ["one", "two"])


async def test_a_call_that_may_have_been_made_is_told_so_and_not_made_again(home: Path, notes: Notes) -> None:
    other = Scripted("careful")
    async with opened(home, {"scripted": script(), "other": other}, prices=BOTH) as app:
        found = await first(app, notes)
        at = next(n for n, event in enumerate(found.events) if isinstance(event, ToolStart))
        # As a run reads whose process died under its first call, and whose second step was begun all the same.
        lost = [event for event in found.events if event.event != "tool_end" or event.seq > at + 1]
        cut = recording.Recording(found.header, lost)
        result = await rerun(app, app.journals, cut, step=1, model=OTHER, toolsets=notes.tools)
    assert (result.response, notes.written) == ("careful", ["one", "two"])
    ((_, said, is_error),) = results(other.requests[0])
    assert (is_error, said.startswith("This call may have been made")) == (True, True)


async def test_a_rerun_can_be_replayed_and_made_again_like_any_other(home: Path, notes: Notes) -> None:
    from mcp_llm.agent.replaying import replay

    other = Scripted(call("note", {"line": "three"}, "c3"), "finished")
    async with opened(home, {"scripted": script(), "other": other}, prices=BOTH) as app:
        result = await rerun(app, app.journals, await first(app, notes), step=1, model=OTHER, toolsets=notes.tools)
        second = await recording.take(app.journals, result.run_id, "local")
        replayed = await replay(app, second)
        third = await rerun(app, app.journals, second, step=2, toolsets=notes.tools)
    assert (replayed.differences, replayed.steps) == ((), 3)
    assert (third.response, notes.written) == ("finished", ["one", "two", "three"])


async def test_a_rerun_whose_process_is_gone_is_gone_on_with(home: Path, notes: Notes) -> None:
    other = Scripted("finished")
    async with opened(home, {"scripted": script(), "other": other}, prices=BOTH) as app:
        found = await first(app, notes)
        settings = app.config.settings.agents
        task = asked(found, 1, OTHER, Limits(), settings, "local")
        journal = await app.journals.create("agent.bound", task.model_dump(mode="json", exclude_defaults=True), "local")
        await journal.append(Start(prompt="go"), *before(found, 1))
        await journal.release()
        resumers = Resumers()
        resumers.register("agent.bound", Agents(app, app.journals, toolsets=notes.tools))
        taken, resumer = await resumers.claim(app.journals, journal.run_id, "local")
        await drive(resumer, taken)
        info = await app.journals.get(journal.run_id, "local")
    assert (info.status, info.result["response"], info.result["turns"]) == ("finished", "finished", 2)
    assert (info.result["usage"]["input"], notes.written, len(other.requests)) == (100, ["one", "two"], 1)


async def test_what_cannot_be_compared_is_said(home: Path, notes: Notes) -> None:
    async with opened(home, {"scripted": script(), "other": Scripted("no tools")}, prices=BOTH) as app:
        found = await first(app, notes)
        found.header = found.header.model_copy(update={"redacted": 2})
        result = await rerun(app, app.journals, found, step=1, model=OTHER)
    assert result.warnings == (
        "the recorded run had tools that are not offered here: note",
        "2 strings of the recording had secrets, which are *** here",
    )


@pytest.mark.parametrize("step", [-1, 3, 99])
async def test_a_step_it_does_not_have_is_refused_before_there_is_a_run(home: Path, notes: Notes, step: int) -> None:
    async with opened(home, {"scripted": script()}) as app:
        found = await first(app, notes)
        with pytest.raises(InvalidInput, match=f"has no step {step}: its steps are 0 to 2"):
            await rerun(app, app.journals, found, step=step)
        assert len(await app.journals.list("local")) == 1


async def test_somebody_elses_recording_brings_no_budget_and_no_rights(home: Path, notes: Notes) -> None:
    task: dict[str, Any] = {"prompt": "go", "model": OTHER, "principal": "root", "budget": {"usd": 1e6, "turns": 10**6}}
    other = Scripted(call("note", {"line": "again"}))
    async with opened(home, {"scripted": script(), "other": other}, prices=BOTH, agents={"turns": 4, "usd": 1}) as app:
        found = await first(app, notes)
        found.header = found.header.model_copy(update={"request": task})
        result = await rerun(app, app.journals, found, toolsets=notes.tools)
        info = await app.journals.get(result.run_id, "local")
    assert (info.request["budget"]["usd"], info.request["budget"]["turns"]) == (1, 4)
    assert (info.principal, result.turns) == ("local", 4)


async def test_a_run_that_went_on_with_another_can_be_made_again_and_tells_no_other_conversation(
    home: Path, notes: Notes
) -> None:
    model, other = Scripted("blue", "green", "the secret is 7"), Scripted("red")
    async with opened(home, {"scripted": model, "other": other}, prices=BOTH) as app:
        one = await do(app, "a colour?")
        two = await do(app, Task(prompt="another?", model=MODEL, continue_from=one.run_id))
        mine = await do(app, "what is the secret?")
        found = await recording.take(app.journals, two.run_id, "local")
        result = await rerun(app, app.journals, found, model=OTHER)
        found.header.request["continue_from"] = mine.run_id
        with pytest.raises(InvalidInput, match=f"is not what run {mine.run_id} has here"):
            await rerun(app, app.journals, found, model=OTHER)
    assert result.response == "red"
    assert [message.text for message in other.requests[0].messages] == ["a colour?", "blue", "another?"]
    assert len(other.requests) == 1
