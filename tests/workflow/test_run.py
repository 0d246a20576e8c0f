"""Running workflows: what is passed on, what runs side by side, what a failure stops, and what is retried."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from workflow.work import MODEL, Counted, Scripted, do, opened, summary

from mcp_llm.errors import BadRequest, InvalidInput, Overloaded, RateLimited, WorkflowError
from mcp_llm.types.events import LAST
from mcp_llm.workflow import attempts
from mcp_llm.workflow.schema import Retry

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def echo(given: Any) -> Any:
    return {"response": given.get("say"), "given": given}


async def test_results_are_passed_on_with_their_types_and_the_run_is_kept(home: Path) -> None:
    text = f"""
name: passing on
inputs: {{topic: string}}
tasks:
- id: ask
  method: llm/generate
  parameters: {{prompt: "About ${{inputs.topic}}", model: "{MODEL}"}}
- id: take
  method: test/echo
  parameters: {{say: "It said: ${{ask.response}}", whole: "${{ask.usage}}", deep: [{{n: "${{ask.usage.total}}"}}]}}
- id: last
  method: test/echo
  parameters: {{say: "${{take.given.deep[0].n}} tokens"}}
outputs: {{words: "${{take.response}}", count: "${{ask.usage.total}}"}}
"""
    events: list[dict[str, Any]] = []
    model = Scripted("hello ${inputs.topic}")
    async with opened(home, {"scripted": model}) as app:
        methods = Counted(echo=echo).methods()
        result = await do(app, text, {"topic": "bread"}, methods, on_event=events.append)
        stored = await app.journals.get(result.run_id, "local")
    assert model.requests[0].messages[0].text == "About bread"
    assert summary(result) == {"ask": "completed", "take": "completed", "last": "completed"}
    assert result.outputs == {"words": "It said: hello ${inputs.topic}", "count": 110}
    assert result.task("take").result["given"]["whole"] == {
        "input": 100,
        "output": 10,
        "total": 110,
        "estimated": False,
    }
    assert result.task("last").result["response"] == "110 tokens"
    assert result.response == "words: It said: hello ${inputs.topic}\n\ncount: 110"
    assert (result.usage.total, result.cost.usd, result.status) == (110, 0.002, "completed")
    assert stored.result == result.model_dump(mode="json", exclude_none=True)
    kinds = [event["event"] for event in events if event["event"] != "text"]
    assert kinds == ["start", *["task_start", "task_end"] * 3, "finish"]
    assert [event["seq"] for event in events] == list(range(len(events)))
    ask = result.task("ask")
    assert ask.started_at is not None
    assert ask.completed_at is not None
    assert ask.duration_seconds == pytest.approx(ask.completed_at - ask.started_at, abs=0.01)
    assert ask.metadata["model"] == "m"


async def test_what_waits_for_nothing_runs_side_by_side_up_to_the_limit(home: Path) -> None:
    everybody, here = anyio.Event(), 0

    async def meet(_: Any) -> str:
        nonlocal here
        here += 1
        if here == 3:
            everybody.set()
        await everybody.wait()  # with fewer than three at a time nobody would ever leave
        return "met"

    counted = Counted(meet=meet)
    tasks = "".join(f"- {{id: t{index}, method: test/meet}}\n" for index in range(6))
    async with opened(home, {}) as app:
        result = await do(app, f"name: x\nmax_parallel_tasks: 3\ntasks:\n{tasks}", methods=counted.methods())
    assert result.status == "completed"
    assert counted.most == 3


async def test_the_urgent_begin_first_and_then_the_order_of_the_file_counts(home: Path) -> None:
    counted = Counted(echo=echo)
    text = """
name: x
max_parallel_tasks: 1
tasks:
- {id: a, method: test/echo, priority: low}
- {id: b, method: test/echo}
- {id: c, method: test/echo, priority: 5}
- {id: d, method: test/echo, priority: urgent, dependencies: [b]}
- {id: e, method: test/echo}
"""
    async with opened(home, {}) as app:
        await do(app, text, methods=counted.methods())
    assert [name for name, _ in counted.calls] == ["c", "b", "d", "e", "a"]


async def test_a_failed_task_stops_only_what_stands_on_it(home: Path) -> None:
    text = """
name: x
tasks:
- {id: bad, method: test/bad}
- {id: uses, method: test/echo, parameters: {say: "${bad.response}"}}
- {id: waits, method: test/echo, dependencies: [uses]}
- {id: other, method: test/echo, parameters: {say: fine}}
- {id: after, method: test/echo, dependencies: [other], parameters: {say: "${other.response}, too"}}
outputs: {good: "${after.response}", bad: "${uses.response}"}
"""
    counted = Counted(echo=echo, bad=lambda _: InvalidInput("it cannot be done: do it otherwise"))
    async with opened(home, {}) as app:
        result = await do(app, text, methods=counted.methods())
        stored = await app.journals.get(result.run_id, "local")
    assert summary(result) == {
        "bad": "failed: it cannot be done: do it otherwise",
        "uses": "skipped: bad, which it uses, did not end well",
        "waits": "skipped: uses, which it waits for, did not end well",
        "other": "completed",
        "after": "completed",
    }
    assert (result.status, result.stop_reason, stored.status) == ("failed", "failed", "failed")
    assert result.error == "bad: it cannot be done: do it otherwise"
    assert result.outputs == {"good": "fine, too", "bad": None}
    assert [name for name, _ in counted.calls] == ["bad", "other", "after"]


async def test_what_a_when_keeps_from_running_is_skipped_and_whoever_only_waits_runs_all_the_same(home: Path) -> None:
    text = """
name: x
tasks:
- {id: first, method: test/echo, parameters: {say: "yes, do it"}}
- {id: done, method: test/echo, when: "${first.response} contains yes", parameters: {say: done}}
- {id: not, method: test/echo, when: "${first.response} == no"}
- {id: never, method: test/echo, when: false}
- {id: uses, method: test/echo, parameters: {say: "${not.response}"}}
- {id: waits, method: test/echo, dependencies: [not, done, uses]}
- {id: odd, method: test/echo, when: "${first.response}"}
"""
    async with opened(home, {}) as app:
        result = await do(app, text, methods=Counted(echo=echo).methods())
    assert summary(result) == {
        "first": "completed",
        "done": "completed",
        "not": "skipped: `when: ${first.response} == no` was not so",
        "never": "skipped: `when: False` was not so",
        "uses": "skipped: not, which it uses, has no result",
        "waits": "completed",
        "odd": "failed: `when`: ${first.response} is words, neither true nor false: compare it, e.g. `contains yes`",
    }


async def test_a_reference_into_nothing_fails_its_task_with_the_step_that_is_missing(home: Path) -> None:
    text = """
name: x
tasks:
- {id: a, method: test/echo, parameters: {say: words}}
- {id: b, method: test/echo, parameters: {say: "${a.given.items[3]}"}}
"""
    async with opened(home, {}) as app:
        result = await do(app, text, methods=Counted(echo=echo).methods())
    assert summary(result)["b"] == (
        "failed: ${a.given.items[3]} is not there: ${a.given} has no field 'items'; it has say"
    )


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (Overloaded("busy"), 3),
        (RateLimited("slowly", retry_after=2.0), 3),
        (BadRequest("no"), 1),
        (InvalidInput("no"), 1),
        (Overloaded("do not", retry=False), 1),
    ],
)
async def test_only_what_another_attempt_may_help_is_tried_again(home: Path, error: Exception, tries: int) -> None:
    counted = Counted(bad=lambda _: error)
    text = "name: x\ntasks:\n- {id: a, method: test/bad, retry: {max_attempts: 3, base_delay: 0}}\n"
    async with opened(home, {}) as app:
        result = await do(app, text.replace("base_delay: 0", "base_delay: 0, max_delay: 0"), methods=counted.methods())
        events = await app.journals.events(result.run_id)
    assert len(counted.calls) == tries == result.task("a").metadata["attempts"]
    starts = [event for event in events if event.event == "task_start"]
    assert [(event.attempt, event.why) for event in starts] == [
        (1, None),
        *((number, str(error)) for number in range(2, tries + 1)),
    ]


async def test_a_task_that_comes_right_has_its_result(home: Path) -> None:
    answers = [Overloaded("busy"), "well"]
    counted = Counted(act=lambda _: answers.pop(0))
    text = "name: x\ntasks:\n- {id: a, method: test/act, retry: {max_attempts: 2, base_delay: 0}}\n"
    async with opened(home, {}) as app:
        result = await do(app, text, methods=counted.methods())
    assert (result.response, result.task("a").metadata["attempts"]) == ("well", 2)


@pytest.mark.parametrize(
    ("retry", "waits"),
    [
        (Retry(base_delay=2, max_delay=9, jitter=False), [2, 4, 8, 9]),
        (Retry(base_delay=2, max_delay=9, backoff="linear", jitter=False), [2, 4, 6, 8]),
        (Retry(base_delay=2, backoff="fixed", jitter=False), [2, 2, 2, 2]),
        (Retry(base_delay=2, max_delay=9), [1, 2, 4, 4.5]),
    ],
)
def test_the_waits_between_attempts_grow_as_asked(retry: Retry, waits: list[float]) -> None:
    busy = Overloaded("busy")
    assert [attempts.delay(retry, number, busy, 0.5) for number in (1, 2, 3, 4)] == waits
    asked = RateLimited("slowly", retry_after=5.0)
    assert attempts.delay(retry, 1, asked, 0.0) == 5.0
    assert attempts.delay(retry, 1, RateLimited("slowly", retry_after=1e6), 0.0) == retry.max_delay


async def test_a_task_over_its_time_fails_and_the_rest_goes_on(home: Path) -> None:
    text = """
name: x
tasks:
- {id: slow, method: test/slow, timeout: 0.05, retry: {max_attempts: 2, base_delay: 0}}
- {id: other, method: test/echo, parameters: {say: fine}}
"""
    counted = Counted(echo=echo, slow=lambda _: anyio.sleep_forever())
    async with opened(home, {}) as app:
        once = await do(app, text, methods=counted.methods())
        assert summary(once) == {"slow": "failed: the task's timeout of 0.05 s was over", "other": "completed"}
        twice = await do(app, text, methods=counted.methods(repeatable=True))
    # What may change something is not begun again: it may have been done.
    assert [one.task("slow").metadata["attempts"] for one in (once, twice)] == [1, 2]


async def test_the_workflows_own_time_ends_it_with_what_there_is(home: Path) -> None:
    text = """
name: x
timeout: 0.3
tasks:
- {id: quick, method: test/echo, parameters: {say: here}}
- {id: slow, method: test/slow, dependencies: [quick]}
- {id: never, method: test/echo, dependencies: [slow]}
outputs: {there: "${quick.response}"}
"""
    counted = Counted(echo=echo, slow=lambda _: anyio.sleep_forever())
    async with opened(home, {}) as app:
        result = await do(app, text, methods=counted.methods())
    assert summary(result) == {
        "quick": "completed",
        "slow": "cancelled: the workflow's 0.3 s were over",
        "never": "skipped: the workflow's 0.3 s were over",
    }
    assert (result.stop_reason, result.outputs, result.status) == ("timeout", {"there": "here"}, "failed")


async def test_its_budget_holds_for_all_tasks_together_also_side_by_side(home: Path) -> None:
    """At $10 and $100 for a million tokens an answer of 1,000 tokens may cost ten cents; it costs a fifth of one."""
    call = f'method: llm/generate, parameters: {{prompt: hi, model: "{MODEL}", max_tokens: 1000}}'
    tasks = "".join(f"- {{id: t{index}, {call}}}\n" for index in range(8))
    model = Scripted("well")
    async with opened(home, {"scripted": model}) as app:
        result = await do(app, f"name: x\nbudget_usd: 0.15\ntasks:\n{tasks}")
        used = await app.purse.ledger.used("run", result.run_id)
    done = [one for one in result.tasks if one.status == "completed"]
    assert (len(done), len(model.requests)) == (len(model.requests), round(float(used.usd) / 0.002))
    assert used.usd <= Decimal("0.15")
    assert result.cost.usd == pytest.approx(0.002 * len(done))


async def test_a_budget_that_is_used_up_is_told_as_such(home: Path) -> None:
    call = f'method: llm/generate, parameters: {{prompt: hi, model: "{MODEL}"}}'
    text = f"name: x\ntasks:\n- {{id: a, {call}}}\n- {{id: b, {call}, dependencies: [a]}}\n"
    async with opened(home, {"scripted": Scripted("well")}) as app:
        result = await do(app, text, budget_usd=0.0022)
    assert [one.status for one in result.tasks] == ["completed", "failed"]
    assert (result.stop_reason, result.cost.usd) == ("budget", 0.002)


async def test_a_workflow_that_is_wrong_makes_no_run(home: Path) -> None:
    async with opened(home, {}) as app:
        with pytest.raises(WorkflowError, match="there is no method `test/nothing`"):
            await do(app, "name: x\ntasks:\n- {id: a, method: test/nothing}\n")
        with pytest.raises(InvalidInput, match="the input `n` is missing"):
            await do(
                app, "name: x\ninputs: {n: integer}\ntasks:\n- {id: a, method: llm/generate, parameters: {prompt: x}}"
            )
        assert await app.journals.list("local") == []


async def test_what_fails_in_a_method_is_told_without_its_words(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    def bug(_: Any) -> Any:
        raise RuntimeError("sk-secret")

    async with opened(home, {}) as app:
        result = await do(app, "name: x\ntasks:\n- {id: a, method: test/bug}\n", methods=Counted(bug=bug).methods())
    assert summary(result) == {"a": "failed: mcp-llm itself failed (RuntimeError); its log on stderr says where"}


async def test_the_user_can_end_it_and_what_was_done_is_kept(home: Path) -> None:
    begun = anyio.Event()

    async def slow(_: Any) -> None:
        begun.set()
        await anyio.sleep_forever()

    text = "name: x\ntasks:\n- {id: a, method: test/echo}\n- {id: b, method: test/slow, dependencies: [a]}\n"
    failed: list[Exception] = []
    async with opened(home, {}) as app:

        async def work() -> None:
            try:
                await do(app, text, methods=Counted(echo=echo, slow=slow).methods(), run_id="a" * 32)
            except Exception as exc:
                failed.append(exc)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await begun.wait()
            await app.journals.request_cancel("a" * 32, "local")
        events = await app.journals.events("a" * 32)
        info = await app.journals.get("a" * 32, "local")
    assert [str(one) for one in failed] == ["the run was cancelled"]
    assert (info.status, isinstance(events[-1], LAST)) == ("cancelled", True)
    assert [event.task for event in events if event.event == "task_end"] == ["a"]


BATCH = f"""
name: all
inputs: {{folder: string}}
tasks:
- id: each
  type: batch
  directory: ${{inputs.folder}}
  pattern: "*.md"
  template:
    method: llm/generate
    parameters: {{prompt: "Read ${{file.stem}}", file_path: "${{file.path}}", model: "{MODEL}"}}
- id: sum
  method: test/echo
  parameters: {{say: "${{each.completed}} of ${{each.files}}: ${{each.results[1].result.response}}"}}
"""


async def test_a_batch_does_the_same_for_each_file_of_a_folder(home: Path) -> None:
    notes = home.parent / "work" / "notes"
    notes.mkdir()
    for name, text in (("b.md", "beta"), ("a.md", "alpha"), ("c.txt", "not this"), (".hidden.md", "nor this")):
        (notes / name).write_text(text)
    (notes / "folder.md").mkdir()
    model = Scripted(lambda request: request.messages[0].text.splitlines()[1])
    async with opened(home, {"scripted": model}) as app:
        result = await do(app, BATCH, {"folder": "notes"}, Counted(echo=echo).methods())
    each = result.task("each").result
    assert [(one["file"], one["status"], one["result"]["response"]) for one in each["results"]] == [
        ("notes/a.md", "completed", "alpha"),
        ("notes/b.md", "completed", "beta"),
    ]
    assert result.task("sum").result["response"] == "2 of 2: beta"
    assert result.cost.usd == 0.004


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("../home", "outside the allowed folders"),
        ("/etc", "outside the allowed folders"),
        ("nothing", "was not found in the allowed folders"),
        (".", "no file in '.' fits '*.md'"),
    ],
)
async def test_a_batch_reads_only_beneath_the_allowed_folders(home: Path, folder: str, words: str) -> None:
    async with opened(home, {"scripted": Scripted("x")}) as app:
        result = await do(app, BATCH, {"folder": folder}, Counted(echo=echo).methods())
    assert words in str(result.task("each").error)


async def test_one_bad_file_is_that_files_result(home: Path) -> None:
    for name in ("a.md", "b.md"):
        (home.parent / "work" / name).write_text(name)
    model = Scripted(lambda request: "fine" if "a.md" in request.messages[0].text else BadRequest("not this one"))
    async with opened(home, {"scripted": model}) as app:
        result = await do(app, BATCH, {"folder": "."}, Counted(echo=echo).methods())
    each = result.task("each")
    assert (each.status, each.result["completed"], each.result["failed"]) == ("completed", 1, 1)
    assert "not this one" in each.result["results"][1]["error"]
