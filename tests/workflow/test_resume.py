"""Going on with a workflow: what has ended stays, what may be done again is, and what may not is asked about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from workflow.cut import RUN, cut_off, go_on, resumers
from workflow.work import MODEL, Counted, Scripted, do, opened, summary

from mcp_llm import steps
from mcp_llm.errors import InvalidInput
from mcp_llm.runs.approval import Approvals
from mcp_llm.runs.resume import drive
from mcp_llm.runs.wait import until
from mcp_llm.workflow import load
from mcp_llm.workflow.allowance import Allowance
from mcp_llm.workflow.attempts import Work
from mcp_llm.workflow.operation import HERE, check
from mcp_llm.workflow.run import Graph

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.workflow.schema import WorkflowResult


pytestmark = pytest.mark.anyio
TEXT = """
name: three
inputs: {n: integer}
tasks:
- {id: a, method: test/note, parameters: {n: "${inputs.n}"}}
- {id: b, method: test/hang, parameters: {n: "${a.response}"}}
- {id: c, method: test/note, parameters: {n: "${b.response}"}, dependencies: [b]}
"""


async def test_what_may_be_done_again_is_and_the_rest_is_not(home: Path) -> None:
    begun = anyio.Event()

    async def hang(_: Any) -> None:
        begun.set()
        await anyio.sleep_forever()

    first = Counted(note=lambda given: given["n"], hang=hang)
    again = Counted(note=lambda given: given["n"], hang=lambda given: given["n"] + 1)
    async with opened(home, {}) as app:
        await cut_off(app, TEXT, first.methods(repeatable=True), begun)
        result = await go_on(app, again.methods(repeatable=True))
        events = await app.journals.events(RUN)
    assert first.calls == [("a", {"n": 1}), ("b", {"n": 1})]
    assert again.calls == [("b", {"n": 1}), ("c", {"n": 2})]
    assert summary(result) == dict.fromkeys(("a", "b", "c"), "completed")
    kinds = [event.event for event in events if event.event != "text"]
    assert kinds == [
        *("start", "task_start", "task_end", "task_start", "resumed"),
        *("task_start", "task_end", "task_start", "task_end", "finish"),
    ]


@pytest.mark.parametrize(("answer", "status"), [(True, "completed"), (False, "failed")])
async def test_what_may_have_changed_something_is_asked_about(home: Path, answer: bool, status: str) -> None:
    begun = anyio.Event()

    async def hang(_: Any) -> None:
        begun.set()
        await anyio.sleep_forever()

    first = Counted(note=lambda given: given["n"], hang=hang)
    again = Counted(note=lambda given: given["n"], hang=lambda given: given["n"])
    async with opened(home, {}) as app:
        await cut_off(app, TEXT, first.methods(), begun)
        results: list[WorkflowResult] = []

        async def open_questions() -> list[Any] | None:
            return [one for one in await app.journals.questions(RUN) if one.open] or None

        async def work() -> None:
            results.append(await go_on(app, again.methods()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            asked = await until(app.journals, RUN, open_questions, 30) or []
            assert (await app.journals.get(RUN, "local")).status == "waiting"
            assert asked[0].question["message"].startswith("The task b (test/hang) may have been done")
            await app.journals.answer(RUN, "local", answer)
    assert results[0].task("b").status == status
    assert [name for name, _ in again.calls] == (["b", "c"] if answer else [])
    if not answer:
        assert str(results[0].task("b").error).startswith("it may have been done: the process ended before")
        assert results[0].task("b").metadata["error_kind"] == "may_have_run"


async def test_a_yes_is_for_one_time(home: Path) -> None:
    begun = [anyio.Event(), anyio.Event()]

    def hang(number: int) -> Any:
        async def act(_: Any) -> None:
            begun[number].set()
            await anyio.sleep_forever()

        return Counted(note=lambda given: given["n"], hang=act)

    last = Counted(note=lambda given: given["n"], hang=lambda given: given["n"])
    async with opened(home, {}) as app:

        async def open_questions() -> list[Any] | None:
            return [one for one in await app.journals.questions(RUN) if one.open] or None

        await cut_off(app, TEXT, hang(0).methods(), begun[0])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go_on, app, hang(1).methods())
            assert await until(app.journals, RUN, open_questions, 30)
            await app.journals.answer(RUN, "local", True)
            with anyio.fail_after(30):
                await begun[1].wait()
            tasks.cancel_scope.cancel()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go_on, app, last.methods())
            assert await until(app.journals, RUN, open_questions, 10)
            await app.journals.answer(RUN, "local", False)
    assert last.calls == []


async def test_what_the_results_had_together_before_a_crash_still_counts(home: Path) -> None:
    begun = anyio.Event()

    async def hang(_: Any) -> None:
        begun.set()
        await anyio.sleep_forever()

    methods = Counted(note=lambda _: "x" * 1000, hang=hang).methods()
    async with opened(home, {}) as app:
        await cut_off(app, TEXT, methods, begun)
        node = load.read(TEXT)
        host = steps.host(app)
        host.methods = methods
        journal = await app.journals.claim(RUN)
        work = Work(host, RUN, "local", Allowance.of(app, RUN), Approvals(app.journals, journal, 1, journal.append))
        graph = Graph(check(host, node), {"n": 1}, work, journal, 1)
        graph.replay(await app.journals.events(RUN))
    assert graph.kept == len(json.dumps({"response": "x" * 1000}))


async def test_where_nobody_answers_it_is_not_done_again(home: Path) -> None:
    begun = anyio.Event()

    async def hang(_: Any) -> None:
        begun.set()
        await anyio.sleep_forever()

    again = Counted(note=lambda given: given["n"], hang=lambda given: given["n"])
    async with opened(home, {}, agents={"approval_s": 0.1}) as app:
        await cut_off(app, TEXT, Counted(note=lambda given: given["n"], hang=hang).methods(), begun)
        result = await go_on(app, again.methods())
    assert (again.calls, result.task("b").status, result.task("c").status) == ([], "failed", "skipped")


async def test_a_batch_goes_on_with_the_files_that_are_missing(home: Path) -> None:
    work = home.parent / "work"
    for name in ("a", "b", "c"):
        (work / f"{name}.md").write_text(name)
    begun = anyio.Event()
    seen: list[str] = []

    async def read(given: Any) -> Any:
        seen.append(given["path"])
        if given["path"].endswith("b.md") and not begun.is_set():
            begun.set()
            await anyio.sleep_forever()
        return given["path"]

    text = """
name: x
max_parallel_tasks: 1
tasks:
- id: each
  type: batch
  directory: .
  pattern: "*.md"
  template: {method: test/read, parameters: {path: "${file.path}"}}
"""
    async with opened(home, {}) as app:
        methods = Counted(read=read).methods(repeatable=True)
        await cut_off(app, text, methods, begun, inputs={})
        (work / "d.md").write_text("came later")
        result = await go_on(app, methods)
    assert seen == ["./a.md", "./b.md", "./b.md", "./c.md"]
    assert [one["result"]["response"] for one in result.task("each").result["results"]] == [
        "./a.md",
        "./b.md",
        "./c.md",
    ]


async def test_an_agent_in_a_workflow_goes_on_where_it_stood(home: Path) -> None:
    begun = anyio.Event()

    class Hanging(Scripted):
        async def stream(self, request: Any, model: str) -> Any:
            if not begun.is_set() and len(self.requests) == 1:
                begun.set()
                await anyio.sleep_forever()
            async for chunk in super().stream(request, model):
                yield chunk

    text = f"""
name: x
tasks:
- {{id: first, method: llm/generate, parameters: {{prompt: one, model: "{MODEL}"}}}}
- {{id: agent, method: agent/run, parameters: {{prompt: "${{first.response}}", model: "{MODEL}", servers: []}}}}
"""
    model = Hanging("one", "agent")
    async with opened(home, {"scripted": model}) as app:
        await cut_off(app, text, {}, begun, inputs={})
        result = await go_on(app, {})
        below = await app.journals.list("local", parent=RUN)
    assert (result.response, result.cost.usd) == ("agent", 0.004)
    assert [request.messages[-1].text for request in model.requests] == ["one", "one"]
    assert sorted(one.status for one in below) == ["finished", "finished"]


async def test_it_is_gone_on_with_only_where_its_paths_mean_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun = anyio.Event()

    async def hang(_: Any) -> None:
        begun.set()
        await anyio.sleep_forever()

    methods = Counted(note=lambda given: given["n"], hang=hang).methods(repeatable=True)
    async with opened(home, {}) as app:
        await cut_off(app, TEXT, methods, begun)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    async with opened(home, {}) as app:
        with pytest.raises(InvalidInput, match="began in another folder"):
            await go_on(app, methods)


async def test_one_that_keeps_dying_at_the_same_place_needs_a_word_of_the_users(home: Path) -> None:
    methods = Counted(note=lambda given: given["n"], hang=lambda given: given["n"]).methods(repeatable=True)
    async with opened(home, {}) as app:
        for number in range(5):
            begun = anyio.Event()

            async def hang(_: Any, begun: anyio.Event = begun) -> None:
                begun.set()
                await anyio.sleep_forever()

            hanging = Counted(note=lambda given: given["n"], hang=hang).methods(repeatable=True)
            if number == 0:
                await cut_off(app, TEXT, hanging, begun)
                continue
            journal, resumer = await resumers(app, hanging).claim(app.journals, RUN, "local")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(drive, resumer, journal)
                await begun.wait()
                tasks.cancel_scope.cancel()
        with pytest.raises(InvalidInput, match="was cut off 5 times in the task b"):
            await go_on(app, methods)
        assert (await go_on(app, methods, again=True)).status == "completed"


async def test_a_workflow_is_kept_as_it_was_when_it_began(home: Path) -> None:
    async with opened(home, {}) as app:
        result = await do(app, TEXT, {"n": 1}, Counted(note=lambda g: g["n"], hang=lambda g: g["n"]).methods())
        info = await app.journals.get(result.run_id, "local")
    assert info.request["workflow"] == load.read(TEXT).plain()
    assert info.request["inputs"] == {"n": 1}
    assert info.kind == HERE
