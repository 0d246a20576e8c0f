"""Policies: what runs, what asks, what never runs, and that a question cannot hang."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.scripted import MODEL, Scripted, call, do, opened, results, write_agent

from mcp_llm.agent.task import Task
from mcp_llm.errors import Error
from mcp_llm.runs.approval import verdict
from mcp_llm.toolsets.functions import Function, Functions
from mcp_llm.types.events import Approval

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.app import App
    from mcp_llm.types.events import Event

pytestmark = pytest.mark.anyio


def tool(policy: Any, made: list[str]) -> Functions:
    """A tool that deletes, under this policy."""

    def delete(name: str) -> str:
        made.append(name)
        return f"{name} is gone"

    return Functions([Function(delete, approval=policy, destructive=True)])


ASKS = call("delete", {"name": "a.txt"})


async def test_a_tool_that_is_denied_is_never_called(home: Path) -> None:
    made: list[str] = []
    model = Scripted(ASKS, "well")
    events: list[dict[str, Any]] = []
    async with opened(home, {"scripted": model}) as app:
        await do(app, "go", toolsets=[tool("deny", made)], on_event=events.append, approver=always)
    assert made == []
    assert "settings forbid it" in results(model.requests[1])[0][1]
    assert [(one["state"], one["by"]) for one in events if one["event"] == "approval"] == [("denied", "policy")]


async def always(_: dict[str, Any]) -> Any:
    return "always"


async def never(_: dict[str, Any]) -> Any:
    return False


async def nobody(_: dict[str, Any]) -> Any:
    return None


async def test_a_destructive_tool_asks_when_nothing_is_said(home: Path) -> None:
    made: list[str] = []
    asked: list[dict[str, Any]] = []

    async def approver(question: dict[str, Any]) -> Any:
        asked.append(question)
        return True

    async with opened(home, {"scripted": Scripted(ASKS, "well")}) as app:
        await do(app, "go", toolsets=[tool(None, made)], approver=approver)
    assert made == ["a.txt"]
    assert [(one["tool"], one["args"], one["destructive"]) for one in asked] == [("delete", {"name": "a.txt"}, True)]


async def test_a_no_is_told_to_the_model(home: Path) -> None:
    made: list[str] = []
    model = Scripted(ASKS, "well")
    async with opened(home, {"scripted": model}) as app:
        result = await do(app, "go", toolsets=[tool("ask", made)], approver=never)
    assert (made, result.response) == ([], "well")
    assert "the user said no" in results(model.requests[1])[0][1]


async def test_always_is_asked_once(home: Path) -> None:
    made: list[str] = []
    asked = 0

    async def approver(_: dict[str, Any]) -> Any:
        nonlocal asked
        asked += 1
        return "always"

    model = Scripted(ASKS, call("delete", {"name": "b.txt"}), "well")
    async with opened(home, {"scripted": model}) as app:
        await do(app, "go", toolsets=[tool("ask", made)], approver=approver)
    assert (made, asked) == (["a.txt", "b.txt"], 1)


class Answering:
    """Answers each question through the store, as `runs(action="answer")` does."""

    def __init__(self, app: App, tasks: Any, answer: Any) -> None:
        self._app, self._tasks, self._answer = app, tasks, answer
        self.statuses: list[str] = []

    def emit(self, event: Event) -> None:
        if isinstance(event, Approval) and event.state == "asked":
            self._tasks.start_soon(self._give, event.run_id)

    async def _give(self, run_id: str) -> None:
        self.statuses.append((await self._app.journals.get(run_id, "local")).status)
        await self._app.journals.answer(run_id, "local", self._answer)


@pytest.mark.parametrize(("answer", "made"), [(True, ["a.txt"]), ("yes", ["a.txt"]), (False, []), ("delete b", [])])
async def test_a_question_is_answered_from_elsewhere(home: Path, answer: Any, made: list[str]) -> None:
    found: list[str] = []
    async with opened(home, {"scripted": Scripted(ASKS, "well")}) as app, anyio.create_task_group() as tasks:
        answering = Answering(app, tasks, answer)
        result = await do(app, "go", toolsets=[tool("ask", found)], sinks=[answering], approver=nobody)
        info = await app.journals.get(result.run_id, "local")
    assert (found, answering.statuses, info.status) == (made, ["waiting"], "finished")


async def test_a_run_that_asks_is_cancelled_when_it_is_told_to_and_then_waits_for_nobody(home: Path) -> None:
    came: list[Any] = []

    class Cancelling:
        """Cancels the run while it asks."""

        def emit(self, event: Event) -> None:
            if isinstance(event, Approval) and event.state == "asked":
                tasks.start_soon(self._cancel, event.run_id)

        async def _cancel(self, run_id: str) -> None:
            came.append(await app.resumers.cancel(app.journals, run_id, "local", 30))

    async with opened(home, {"scripted": Scripted(ASKS, "well")}) as app, anyio.create_task_group() as tasks:
        with pytest.raises(Error, match="cancelled"):
            await do(app, "go", toolsets=[tool("ask", [])], sinks=[Cancelling()], approver=nobody)
    ((info, words),) = came
    assert (info.status, words) == ("cancelled", None)


async def test_a_question_that_nobody_answers_is_a_no_at_its_deadline(home: Path) -> None:
    made: list[str] = []
    events: list[dict[str, Any]] = []
    async with opened(home, {"scripted": Scripted(ASKS, "well")}, agents={"approval_s": 0.2}) as app:
        result = await do(app, "go", toolsets=[tool("ask", made)], on_event=events.append)
    assert (made, result.response) == ([], "well")
    told = [(one["state"], one["by"]) for one in events if one["event"] == "approval"]
    assert told == [("asked", None), ("denied", "deadline")]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (True, True),
        ("Yes", True),
        ("always", True),
        ({"approve": True}, True),
        (False, False),
        (None, False),
        (1, False),
        ("no", False),
        ("yes please delete everything", False),
        ({"approve": "no"}, False),
        ({}, False),
        ([True], False),
    ],
)
def test_whatever_is_not_clearly_a_yes_is_a_no(answer: Any, said: bool) -> None:
    assert verdict(answer) is said


async def test_a_delegate_asks_where_its_root_is_waited_for(home: Path) -> None:
    write_agent(home, "boss", f'delegates = ["worker"]\nmodel = "{MODEL}"')
    write_agent(home, "worker", f'model = "{MODEL}"', "Worker is what you are.")
    made: list[str] = []
    last: dict[str, Any] = {}

    def replies(request: Any) -> Any:
        worker = "Worker" in (request.system or "")
        if len(request.messages) > 1:
            last["worker" if worker else "boss"] = results(request)
            return "done"
        return ASKS if worker else call("ask_worker", {"task": "delete a.txt"})

    async with opened(home, {"scripted": Scripted(replies)}) as app, anyio.create_task_group() as tasks:
        answering = Answering(app, tasks, True)
        task = Task(prompt="go", agent="boss")
        result = await do(app, task, toolsets=[tool("ask", made)], sinks=[answering])
    assert (result.response, made, answering.statuses) == ("done", ["a.txt"], ["waiting"])
    assert last["worker"] == [("c_delete", "a.txt is gone", False)]
