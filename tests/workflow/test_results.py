"""What tasks give: what is too much to be kept, what was paid for it, and what there is when the time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from workflow.work import MODEL, Counted, Scripted, do, opened, summary

from mcp_llm.types.result import Cost, Tokens
from mcp_llm.workflow.method import Done, Method
from mcp_llm.workflow.template import MOST

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_what_is_too_large_to_be_kept_was_paid_all_the_same(home: Path) -> None:
    async def much(_: Any) -> Done:
        return Done({"response": "x" * MOST}, Tokens(total=7), Cost(usd=0.5))

    async with opened(home, {}) as app:
        text = "name: x\ntasks:\n- {id: a, method: test/much}\n"
        result = await do(app, text, methods={"test/much": Method(much)})
    assert summary(result) == {"a": "failed: its result has over 8 MiB: let it give less"}
    assert (result.usage.total, result.cost.usd) == (7, 0.5)


async def test_a_result_too_deep_to_be_read_again_fails_its_task_and_nothing_else(home: Path) -> None:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    text = "name: x\ntasks:\n- {id: a, method: test/deep}\n- {id: b, method: test/echo}\n"
    async with opened(home, {}) as app:
        result = await do(app, text, methods=Counted(deep=lambda _: {"response": deep}, echo=lambda _: "x").methods())
        assert len(await app.journals.events(result.run_id)) > 2
    assert summary(result) == {
        "a": "failed: its result is nested deeper than 128 levels: let it give a flatter one",
        "b": "completed",
    }


async def test_outputs_are_together_no_larger_than_the_values_of_a_task(home: Path) -> None:
    text = """
name: x
tasks: [{id: a, method: test/much}]
outputs: {first: "${a.response}", again: "${a.response}", small: "${a.n}"}
"""
    half = "x" * (MOST // 2 + 1)
    async with opened(home, {}) as app:
        result = await do(app, text, methods=Counted(much=lambda _: {"response": half, "n": 1}).methods())
    assert (result.outputs["again"], result.outputs["small"], result.outputs["first"] == half) == (None, 1, True)
    assert result.warnings[0].startswith("the output `again` is null: what is filled in has over 8 MiB")


async def test_files_that_had_ended_when_the_time_was_over_are_in_the_result(home: Path) -> None:
    for name in ("a.md", "b.md"):
        (home.parent / "work" / name).write_text(name)

    async def read(given: Any) -> Any:
        return "read" if given["name"] == "a.md" else await anyio.sleep_forever()

    text = """
name: x
timeout: 1
tasks:
- id: each
  type: batch
  directory: .
  pattern: "*.md"
  template: {method: test/read, parameters: {name: "${file.name}"}}
"""
    async with opened(home, {}) as app:
        result = await do(app, text, methods=Counted(read=read).methods())
    each = result.task("each")
    assert (each.status, each.result) == (
        "cancelled",
        {
            "results": [{"file": "./a.md", "status": "completed", "result": {"response": "read"}, "error": None}],
            "files": 2,
            "completed": 1,
            "failed": 0,
        },
    )


async def test_a_task_reads_what_was_made_here(home: Path) -> None:
    model = Scripted(lambda request: request.messages[0].text)
    async with opened(home, {"scripted": model}) as app:
        made = app.artifacts.put(b"kept words", "text/plain")
        call = f'method: llm/generate, parameters: {{prompt: hi, model: "{MODEL}", files: "{made.uri}"}}'
        result = await do(app, f"name: x\ntasks:\n- {{id: a, {call}}}\n")
    assert "kept words" in result.task("a").result["response"]


async def test_what_a_task_has_made_is_a_run_below_the_workflows(home: Path) -> None:
    async with opened(home, {}) as app:
        call = "{id: a, method: llm/embed, parameters: {input: [one, two], model: demo}}"
        result = await do(app, f"name: x\ntasks:\n- {call}\n")
        with anyio.fail_after(30):
            run_id = result.task("a").metadata["run_id"]
            while await app.runs.result(run_id, "local") is None:  # noqa: ASYNC110 - it is posted, and nobody is told
                await anyio.sleep(0.02)
        below = await app.journals.get(run_id, "local")
    assert (below.kind, below.parent) == ("embed", result.run_id)
