"""Whether a task may call a tool: asked once, before it begins; what was answered holds over a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from workflow.cut import RUN, cut_off, go_on
from workflow.work import Counted, do, opened, summary

from mcp_llm.errors import Busy
from mcp_llm.runs.wait import until
from mcp_llm.toolsets.base import Tool
from mcp_llm.types.chat import ToolSpec

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.app import App
    from mcp_llm.workflow.method import Method
    from mcp_llm.workflow.schema import WorkflowResult

pytestmark = pytest.mark.anyio
SIGN = Tool(ToolSpec(name="sign"), server="office", approval="ask")
SIGNED = "name: x\ntasks:\n- {id: a, method: test/sign, retry: {max_attempts: 3, base_delay: 0}}\n"


async def died_while_it_asked(app: App, methods: dict[str, Method]) -> str:
    """The question that was open when the process of the run went."""
    asked = anyio.Event()

    def look(event: dict[str, Any]) -> None:
        if event["event"] == "approval" and event["state"] == "asked":
            asked.set()

    await cut_off(app, SIGNED, methods, asked, inputs={}, on_event=look)
    (question,) = await app.journals.questions(RUN)
    return question.id


async def test_a_question_that_was_open_when_the_process_died_is_asked_once_more_and_no_other(home: Path) -> None:
    signing = Counted(sign=lambda _: "signed")
    methods = signing.methods(tool=SIGN)
    async with opened(home, {}) as app:
        question = await died_while_it_asked(app, methods)
        assert signing.calls == []
        results: list[WorkflowResult] = []

        async def work() -> None:
            results.append(await go_on(app, methods))

        async def waiting() -> bool | None:
            return (await app.journals.get(RUN, "local")).status == "waiting" or None

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            assert await until(app.journals, RUN, waiting, 30)
            assert await app.journals.answer(RUN, "local", True) == question
        assert [one.id for one in await app.journals.questions(RUN)] == [question]
    assert summary(results[0]) == {"a": "completed"}
    assert signing.calls == [("a", {})]


@pytest.mark.parametrize("answer", [True, False])
async def test_an_answer_that_came_while_nobody_drove_the_run_holds(home: Path, answer: bool) -> None:
    signing = Counted(sign=lambda _: "signed")
    methods = signing.methods(tool=SIGN)
    async with opened(home, {}) as app:
        question = await died_while_it_asked(app, methods)
        await app.journals.answer(RUN, "local", answer)
        result = await go_on(app, methods)
        assert [one.id for one in await app.journals.questions(RUN)] == [question]
    assert [name for name, _ in signing.calls] == (["a"] if answer else [])
    assert result.task("a").status == ("completed" if answer else "failed")


async def test_a_call_that_was_allowed_is_not_asked_about_at_each_attempt(home: Path) -> None:
    asked: list[str] = []
    answers: list[Any] = [Busy("later"), Busy("later"), "signed"]

    async def approver(question: dict[str, Any]) -> bool:
        asked.append(question["tool"])
        return True

    async with opened(home, {}) as app:
        methods = Counted(sign=lambda _: answers.pop(0)).methods(tool=SIGN)
        result = await do(app, SIGNED, methods=methods, approver=approver)
    assert (summary(result), asked) == ({"a": "completed"}, ["sign"])


async def test_what_the_settings_forbid_is_not_done_again_whatever_is_answered(home: Path) -> None:
    begun = anyio.Event()

    async def hang(_: Any) -> None:
        begun.set()
        await anyio.sleep_forever()

    again = Counted(sign=lambda _: "signed")
    async with opened(home, {}) as app:
        free = Counted(sign=hang).methods(tool=Tool(ToolSpec(name="sign"), approval="allow"))
        await cut_off(app, SIGNED, free, begun, inputs={})
        results: list[WorkflowResult] = []

        async def work() -> None:
            results.append(await go_on(app, again.methods(tool=Tool(ToolSpec(name="sign"), approval="deny"))))

        async def open_questions() -> list[Any] | None:
            return [one for one in await app.journals.questions(RUN) if one.open] or None

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            assert await until(app.journals, RUN, open_questions, 30)
            await app.journals.answer(RUN, "local", True)
    assert again.calls == []
    assert "the user's settings forbid it" in str(results[0].task("a").error)
