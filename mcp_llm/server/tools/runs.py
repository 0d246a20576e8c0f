"""The tool `runs`: one handle for whatever is running or has run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from mcp.types import ToolAnnotations
from pydantic import Field, ValidationError

from mcp_llm.errors import InvalidInput
from mcp_llm.runs import wait
from mcp_llm.runs.detach import Running, run_detachable
from mcp_llm.runs.resume import GRACE, drive
from mcp_llm.runs.texts import cut, said
from mcp_llm.server import result as results
from mcp_llm.server.rows import row
from mcp_llm.types.result import Generated

from .published import Arguments, publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.types import CallToolResult

    from mcp_llm.runs.store import RunInfo
    from mcp_llm.runs.texts import Page
    from mcp_llm.server.run import Run

LISTED: Final = 20
STATES: Final = ("running", "waiting", "interrupted", "finished", "failed", "cancelled")


class RunsArguments(Arguments):
    """What to do with which run."""

    action: Literal["list", "wait", "read", "cancel", "resume", "answer"]
    run_id: Annotated[str | None, Field(description="or the handle of a long text, to read it")] = None
    offset: int = 0
    wait_s: float | None = None
    status: Annotated[str | None, Field(description="list only: running, waiting, interrupted, finished ...")] = None
    answer: Any = None
    question: str | None = None
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
    found = await run.service.journals.list(run.principal, given.status, LISTED)
    rows = [row(info) for info in found]
    lines = [
        " · ".join(str(one[name]) for name in ("run_id", "status", "kind", "model", "age", "says") if one.get(name))
        for one in rows
    ]
    return results.plain("\n".join(lines) or "no runs", {"runs": rows})


async def _wait(given: RunsArguments, run: Run, run_id: str) -> CallToolResult:
    app = run.service
    kind = (await app.journals.get(run_id, run.principal)).kind
    grace = GRACE if app.resumers.automatic(kind) else 0
    with run.beating():
        run.progress.who = f"run {run_id[:8]}"
        info = await wait.ended(app.journals, run_id, run.principal, run.patience(given.wait_s), grace_s=grace)
    return await shown(run, info)


async def _read(given: RunsArguments, run: Run, run_id: str) -> CallToolResult:
    runs, size = run.service.journals, run.host.result_chars
    if "." in run_id:
        return page(run_id, "finished", await runs.read_text(run_id, run.principal, given.offset, size))
    info = await runs.get(run_id, run.principal)
    return page(run_id, info.status, cut(await said(run.service.journals, info), given.offset, size))


async def _cancel(given: RunsArguments, run: Run, run_id: str) -> CallToolResult:
    runs = run.service.journals
    before = await runs.request_cancel(run_id, run.principal)
    info = await wait.ended(runs, run_id, run.principal, run.patience(given.wait_s)) if before.live else before
    if before.status == "interrupted":
        info = await runs.get(run_id, run.principal)
    return await shown(run, info)


async def _resume(given: RunsArguments, run: Run, run_id: str) -> CallToolResult:
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
    return await shown(run, await app.journals.get(run_id, run.principal))


async def _answer(given: RunsArguments, run: Run, run_id: str) -> CallToolResult:
    if given.answer is None:
        raise InvalidInput("`answer` is missing: say what the run asks for, e.g. answer=true")
    question = await run.service.journals.answer(run_id, run.principal, given.answer, given.question)
    text = f'answered {question}; runs(action="wait", run_id="{run_id}") for what comes of it'
    return results.plain(text, {"run_id": run_id, "status": "running", "response": text})


async def shown(run: Run, info: RunInfo) -> CallToolResult:
    """A run as it stands: its result as the tool would have given it, or what there is and what can be done."""
    if info.status == "finished":
        try:
            return results.generated(Generated.model_validate(info.result), run.host.result_chars)
        except ValidationError:  # the result of another kind of tool
            return page(
                info.id, info.status, cut(await said(run.service.journals, info), 0, run.host.result_chars), info.result
            )
    if info.status in {"failed", "cancelled"}:
        error = str(info.result.get("error") or info.status)
        data = {"run_id": info.id, "status": info.status, "error": error}
        text = f"run {info.id} {info.status}: {error}"
        if partial := str(info.result.get("partial") or ""):
            data["partial"] = partial[: run.host.result_chars // 2]
            text += f"\n\nwhat had arrived:\n{data['partial']}"
        return results.plain(text, data)
    partial = await run.service.journals.partial(info.id)
    if info.status == "waiting":
        asked = [one for one in await run.service.journals.questions(info.id) if one.open]
        return results.waiting(info.id, partial, {one.id: one.question for one in asked})
    if info.status == "interrupted":
        return results.interrupted(info.id, partial)
    return results.running(Running(info.id, partial))


def page(run_id: str, status: str, found: Page, more: dict[str, Any] | None = None) -> CallToolResult:
    """A page of a text, and where the next one begins."""
    small = {key: value for key, value in (more or {}).items() if key != "response" and len(str(value)) <= 4000}
    data: dict[str, Any] = {"run_id": run_id, "status": status, "response": found.text, **small}
    text = found.text
    if found.more:
        data["next_offset"] = found.end
        left = found.total - found.end
        text += f'\n\n[{left:,} more characters: runs(action="read", run_id="{run_id}", offset={found.end})]'
    return results.plain(text, data)


RUNS = publish(
    run_runs,
    RunsArguments,
    name="runs",
    title="Runs",
    description="What is running or has run: wait for it, read it page by page, cancel, resume or answer it.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False),
)
