"""A recorded run made again: the same way without asking anybody, and where it goes another way, that is shown."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.scripted import MODEL, Scripted, call, do, opened, write_agent

from mcp_llm.agent.replaying import replay
from mcp_llm.agent.task import Limits, Task
from mcp_llm.errors import Error, InvalidInput, Overloaded
from mcp_llm.runs import recording
from mcp_llm.runs.replay import Difference
from mcp_llm.toolsets.functions import Function, Functions
from mcp_llm.types.chat import End
from mcp_llm.types.events import ErrorEvent, ModelEnd, ModelStart, Start, ToolStart
from mcp_llm.types.message import assistant, user
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.app import App
    from mcp_llm.types.events import Event

pytestmark = pytest.mark.anyio
SHAPE = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def add(a: int, b: int) -> int:
    return a + b


class Elsewhere:
    """A provider on another machine: whoever asks it here has gone wrong."""

    def stream(self, request: Any, model: str) -> Any:
        raise AssertionError("a replay asks nobody")


async def made(home: Path, model: Scripted, task: Task | str = "go", **more: Any) -> recording.Recording:
    """The run of a task as a file would have it, also of one that fails."""
    settings = more.pop("settings", {})
    async with opened(home, {"scripted": model}, **settings) as app:
        with suppress(Error):
            await do(app, task, **more)
        (info,) = [one for one in await app.journals.list("local") if one.parent is None]
        found = await recording.take(app.journals, info.id, "local")
    return recording.parse("".join(recording.lines(found, str)).encode())


async def again(tmp_path: Path, found: recording.Recording) -> Any:
    """Made again on another machine, which has neither the model nor the tools nor the agents' files."""
    other = tmp_path / "other"
    other.mkdir(exist_ok=True)
    async with opened(other, {"scripted": Elsewhere()}) as app:
        replayed = await replay(app, found)
        await app.store.flush()
        kept = [await app.store.query(f"SELECT count(*) FROM {name}") for name in ("runs", "ledger", "budgets")]
    assert kept == [[(0,)]] * 3
    return replayed


async def test_calls_and_their_results_come_from_the_record(home: Path, tmp_path: Path) -> None:
    effects: list[int] = []

    def note(number: int) -> str:
        effects.append(number)
        return f"noted {number}"

    script = Scripted(
        [call("note", {"number": 1}, "x"), call("add", {"a": 1, "b": 2})], call("note", {"number": 2}), "3"
    )
    found = await made(home, script, toolsets=[Functions([note, add])])
    replayed = await again(tmp_path, found)
    assert (replayed.identical, replayed.steps, replayed.replayed, replayed.calls) == (True, 3, 3, 3)
    assert (replayed.ended, effects) == ("answer (stop)", [1, 2])


async def no(_: dict[str, Any]) -> bool:
    return False


async def yes(_: dict[str, Any]) -> bool:
    return True


def wipe() -> str:
    return "wiped"


WIPE = Functions([Function(wipe, destructive=True), add])


@pytest.mark.parametrize(
    ("script", "task", "more", "ended"),
    [
        (["hello"], "go", {}, "answer (stop)"),
        ([call("wipe"), "done"], "go", {"toolsets": [WIPE], "approver": no}, "answer (stop)"),
        ([call("wipe"), "done"], "go", {"toolsets": [WIPE], "approver": yes}, "answer (stop)"),
        (
            [call("nothing"), call("add", "{,"), call("add", {"a": 1}), "done"],
            "go",
            {"toolsets": [WIPE]},
            "answer (stop)",
        ),
        ([call("add", {"a": 1, "b": 1})], "go", {"toolsets": [WIPE]}, "answer (repeat)"),
        (
            [[call("add", {"a": n, "b": 1}, f"c{n}") for n in range(40)], "done"],
            Task(prompt="go", model=MODEL, budget=Limits(calls=3)),
            {"toolsets": [WIPE]},
            "answer (budget)",
        ),
        (
            [[call("add", {"a": 1, "b": 1}), End(stop="tool_calls", usage=Usage(input=9, output=9))] for _ in "abc"],
            Task(prompt="go", model=MODEL, budget=Limits(turns=2)),
            {"toolsets": [WIPE]},
            "answer (budget)",
        ),
        (
            [[call("add", {"a": 1, "b": 1}), End(stop="tool_calls", usage=Usage(input=9000, output=9000))], "done"],
            Task(prompt="go", model=MODEL, budget=Limits(usd=0.5)),
            {"toolsets": [WIPE]},
            "answer (budget)",
        ),
        (['{"n": "x"}', '{"n": 1}'], Task(prompt="go", model=MODEL, json_schema=SHAPE), {}, "answer (stop)"),
        (["no", "no"], Task(prompt="go", model=MODEL, json_schema=SHAPE), {"toolsets": [WIPE]}, "error schema"),
        ([["half", End(stop="content_filter", note="no")]], "go", {}, "error refused"),
        ([[call("add", '{"a": 1'), End(stop="length")], "done"], "go", {"toolsets": [WIPE]}, "answer (stop)"),
        ([call("add", {"a": 1, "b": 1}), Overloaded("busy")], "go", {"toolsets": [WIPE]}, "error overloaded"),
        ([Overloaded("busy")], "go", {}, "error overloaded"),
    ],
)
async def test_whatever_ended_it_ends_it_again(
    home: Path, tmp_path: Path, script: list[Any], task: Any, more: dict[str, Any], ended: str
) -> None:
    found = await made(home, Scripted(*script), task, settings={"retries": {"attempts": 1}}, **more)
    replayed = await again(tmp_path, found)
    assert replayed.differences == ()
    assert replayed.identical
    assert replayed.ended.startswith(ended)


async def test_delegates_are_made_again_each_by_itself(home: Path, tmp_path: Path) -> None:
    write_agent(home, "boss", 'description = "leads"\ndelegates = ["helper"]')
    write_agent(home, "helper", 'description = "helps"', "Help.")
    model = Scripted(
        lambda request: (
            "helped"
            if request.system == "Help."
            else call("ask_helper", {"task": "help me"})
            if len(request.messages) == 1
            else "done"
        )
    )
    found = await made(home, model, Task(prompt="go", model=MODEL, agent="boss"))
    replayed = await again(tmp_path, found)
    assert [(one.identical, one.steps) for one in (replayed, *replayed.children)] == [(True, 2), (True, 1)]


async def test_a_run_that_was_cut_off_is_the_same_up_to_there(home: Path, tmp_path: Path) -> None:
    found = await made(home, Scripted(call("add", {"a": 1, "b": 2}), "3"), toolsets=[Functions([add])])
    for number, event in enumerate(found.events):
        if isinstance(event, ModelStart | ModelEnd | ToolStart):
            cut = recording.Recording(found.header, found.events[: number + 1])
            replayed = await again(tmp_path, cut)
            assert replayed.differences == ()
            assert replayed.ended.startswith("cut off")


def replaced(found: recording.Recording, kind: type, change: Callable[[Any], dict[str, Any]]) -> recording.Recording:
    """The recording with its first event of a kind changed."""
    at = next(number for number, event in enumerate(found.events) if isinstance(event, kind))
    events: list[Event] = [*found.events]
    events[at] = events[at].model_copy(update=change(events[at]))
    return recording.Recording(found.header, events)


def other_words(event: ModelStart) -> dict[str, Any]:
    return {"messages": (user("stop"),)}


def other_call(event: ModelEnd) -> dict[str, Any]:
    message = assistant(call("add", {"a": 1, "b": 3}))
    return {"response": event.response.model_copy(update={"message": message})}


@pytest.mark.parametrize(
    ("kind", "change", "differences"),
    [
        (ModelStart, other_words, [Difference(step=0, where="message 1", recorded="user: stop", found="user: go")]),
        (
            ModelEnd,
            other_call,
            [Difference(step=0, where="args of add (c_add)", recorded='{"a": 1, "b": 2}', found='{"a": 1, "b": 3}')],
        ),
    ],
)
async def test_the_step_that_differs_is_shown_with_both_sides(
    home: Path, tmp_path: Path, kind: type, change: Any, differences: list[Difference]
) -> None:
    found = await made(home, Scripted(call("add", {"a": 1, "b": 2}), "3"), toolsets=[Functions([add])])
    replayed = await again(tmp_path, replaced(found, kind, change))
    assert (list(replayed.differences), replayed.identical) == (differences, False)


async def test_another_end_is_a_difference(home: Path, tmp_path: Path) -> None:
    found = await made(home, Scripted(call("add", {"a": 1, "b": 2}), "3"), toolsets=[Functions([add])])
    changed = found.header.model_copy(update={"result": {**found.header.result, "response": "4", "turns": 3}})
    replayed = await again(tmp_path, recording.Recording(changed, found.events))
    assert [(one.step, one.where, one.recorded, one.found) for one in replayed.differences] == [
        (None, "response", "4", "3"),
        (None, "turns", "3", "2"),
    ]
    failed = recording.Recording(found.header, [*found.events[:-1], ErrorEvent(error="the disk", kind="store")])
    replayed = await again(tmp_path, failed)
    assert [one.where for one in replayed.differences] == ["the end"]


RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.jsonl"))


@pytest.mark.parametrize("file", RECORDINGS, ids=[file.stem for file in RECORDINGS])
async def test_what_was_recorded_once_still_goes_the_same_way(tmp_path: Path, file: Path) -> None:
    """Made with version 1 of the format: one that cannot be read, or goes another way, is a change that users feel."""
    replayed = await again(tmp_path, recording.load(file))
    assert replayed.differences == ()
    assert replayed.identical


async def test_a_run_that_keeps_no_steps_says_so(home: Path) -> None:
    async with opened(home, {}) as app:
        assert await refused(app, "generate", Start(prompt="x")) == (
            "run r is of kind generate: its answer is kept, but not what the model was asked step by step, so there is "
            "nothing to replay. Runs of agents can be replayed."
        )
        assert await refused(app, "agent") == "run r has no events: it ended before its first step"
        assert (await refused(app, "agent", Start(prompt="x"))).startswith("run r holds no task of an agent: `prompt`")


async def refused(app: App, kind: str, *events: Event) -> str:
    head = recording.Header(id="r", kind=kind, status="finished", created=1, updated=1, events=len(events))
    with pytest.raises(InvalidInput) as caught, anyio.fail_after(10):
        await replay(app, recording.Recording(head, [*events]))
    return str(caught.value)
