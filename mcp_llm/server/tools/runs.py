"""The tool `runs`: one handle for whatever is running or has run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_llm.errors import InvalidInput
from mcp_llm.runs import wait
from mcp_llm.runs.detach import Running, run_detachable
from mcp_llm.runs.texts import cut
from mcp_llm.runs.words import said
from mcp_llm.server import kept
from mcp_llm.server import result as results
from mcp_llm.server.arguments import Arguments, Name
from mcp_llm.server.rows import row

from .published import publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.types import CallToolResult

    from mcp_llm.server.run import Run

LISTED: Final = 20
STATES: Final = ("running", "waiting", "interrupted", "finished", "failed", "cancelled")


class RunsArguments(Arguments):
    """What to do with which run."""

    action: Literal["list", "wait", "read", "cancel", "resume", "answer"]
    """What to do; all but list need `run_id`."""
    run_id: Annotated[Name | None, Field(description="or the handle of a long text, to read it")] = None
    offset: int = 0
    """The first character that read gives."""
    wait_s: float | None = None
    """Seconds that wait, cancel and resume may take before they say how it stands."""
    status: Annotated[str | None, Field(description="list only: running, waiting, interrupted, finished ...")] = None
    answer: Any = None
    """What the run is answered: true, false, "always", or any JSON."""
    question: str | None = None
    """Which question is answered, where the run asks several."""
    again: Annotated[bool, Field(description="resume although it may be paid twice")] = False


OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "run_id": {"type": "string"},
        "status": {"type": "string"},
        "response": {"type": "string"},
        "partial": {"type": "string"},
        "next_offset": {"type": "integer"},
    },
}


async def run_runs(given: RunsArguments, run: Run) -> CallToolResult:
    """One action."""
    if given.action == "list":
        return await _list(given, run)
    if not given.run_id:
        raise InvalidInput(f"`{given.action}` needs `run_id`; list shows the runs there are")
    return await {"wait": _wait, "read": _read, "cancel": _cancel, "resume": _resume, "answer": _answer}[given.action](
        given, run, given.run_id
    )


async def _list(given: RunsArguments, run: Run) -> CallToolResult:
    if given.status is not None and given.status not in STATES:
        raise InvalidInput(f"`status` is {given.status[:40]!r}; it is one of {', '.join(STATES)}")
    found = await run.service.journals.list(run.principal, given.status, LISTED, brief=True)
    rows = [row(info) for info in found]
    lines = [
        " · ".join(str(one[name]) for name in ("run_id", "status", "kind", "model", "age", "says") if one.get(name))
        for one in rows
    ]
    problems = list(run.service.store.notes)
    lines = [*(lines or ["no runs"]), *(f"problem: {words}" for words in problems)]
    return results.plain("\n".join(lines), {"runs": rows, **({"problems": problems} if problems else {})})


async def _wait(given: RunsArguments, run: Run, run_id: str) -> CallToolResult:
    from mcp_llm.runs.resume import GRACE

    app = run.service
    kind = (await app.journals.get(run_id, run.principal)).kind
    grace = GRACE if app.resumers.automatic(kind) else 0
    with run.beating():
        run.progress.who = f"run {run_id[:8]}"
        info = await wait.ended(app.journals, run_id, run.principal, run.patience(given.wait_s), grace_s=grace)
    return await kept.shown(run.service, info, run.host.result_chars)


async def _read(given: RunsArguments, run: Run, run_id: str) -> CallToolResult:
    runs, size = run.service.journals, run.host.result_chars
    if "." in run_id:
        return kept.page(run_id, "finished", await runs.read_text(run_id, run.principal, given.offset, size))
    info = await runs.get(run_id, run.principal)
    return kept.page(run_id, info.status, cut(await said(run.service.journals, info), given.offset, size))


async def _cancel(given: RunsArguments, run: Run, run_id: str) -> CallToolResult:
    runs = run.service.journals
    with run.beating():
        run.progress.who = f"run {run_id[:8]}"
        info, words = await run.service.resumers.cancel(runs, run_id, run.principal, run.patience(given.wait_s))
    if words is not None:
        text = f"run {run_id} is {info.status}: {words}"
        return results.plain(text, {"run_id": run_id, "status": info.status, "response": text})
    return await kept.shown(run.service, info, run.host.result_chars)


async def _resume(given: RunsArguments, run: Run, run_id: str) -> CallToolResult:
    from mcp_llm.runs.resume import drive

    app = run.service
    journal, resumer = await app.resumers.claim(app.journals, run_id, run.principal, again=given.again)

    async def detach(_: Callable[[], None]) -> Running:
        return Running(run_id, journal.partial)

    with run.beating():
        run.progress.who = f"run {run_id[:8]}"
        await run_detachable(
            run.life.tasks,
            lambda: drive(resumer, journal),
            deadline_s=run.patience(given.wait_s),
            detach=detach,
        )
    return await kept.shown(app, await app.journals.get(run_id, run.principal), run.host.result_chars)


async def _answer(given: RunsArguments, run: Run, run_id: str) -> CallToolResult:
    if given.answer is None or (isinstance(given.answer, str) and not given.answer.strip()):
        raise InvalidInput("`answer` is missing: say what the run asks for, e.g. answer=true")
    question = await run.service.journals.answer(run_id, run.principal, given.answer, given.question)
    text = f'answered {question}; runs(action="wait", run_id="{run_id}") for what comes of it'
    return results.plain(text, {"run_id": run_id, "status": "running", "response": text})


RUNS = publish(
    run_runs,
    RunsArguments,
    name="runs",
    title="Runs",
    description="What is running or has run: wait for it, read it page by page, cancel, resume or answer it.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False),
)
