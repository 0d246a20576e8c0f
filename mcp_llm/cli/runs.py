"""`mcp-llm runs`: what is running or has run, of this process, of servers beside it, and of processes that are gone."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from mcp_llm.errors import InvalidInput
from mcp_llm.runs.texts import MOST
from mcp_llm.runs.words import said

from . import recorded, running, terminal
from .grouped import Group

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.app import App
    from mcp_llm.runs.retention import Gone
    from mcp_llm.runs.store import RunInfo

T = TypeVar("T")

ME = "local"
STATES = ("running", "waiting", "interrupted", "finished", "failed", "cancelled")

EXAMPLES: Final = """\b
Examples:
  mcp-llm runs list --status waiting
  mcp-llm runs answer RUN yes
  mcp-llm runs resume RUN
  mcp-llm runs replay RUN
  mcp-llm runs rerun RUN --step 2 -m anthropic:pro
  mcp-llm runs prune --days 30
"""


@click.group(cls=Group, epilog=EXAMPLES)
def command() -> None:
    """What is running or has run: list, wait, read, cancel, resume, answer; record, replay, compare."""


for one in recorded.COMMANDS:
    command.add_command(one)


run_id = click.argument("run_id")
as_json = click.option("--json", "as_json", is_flag=True, help="The run as one JSON object.")


@command.command("list")
@click.option("--status", type=click.Choice(STATES), help="Only those that are so.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
def listed(status: str | None, limit: int, as_json: bool) -> int:
    """The newest runs first."""
    found = _do(lambda app: app.journals.list(ME, status, limit))
    if isinstance(found, int):
        return found
    if as_json:
        terminal.dump([data(info) for info in found])
        return 0
    if not found:
        terminal.problem("no runs" if status is None else f"no runs that are {status}")
        return 0
    rows = [(info.id, info.status, info.kind, info.model or "", when(info.updated), says(info)) for info in found]
    terminal.line(terminal.table(("run", "status", "kind", "model", "changed", "says"), rows))
    return 0


@command.command()
@run_id
@click.option("--timeout", "seconds", type=click.FloatRange(min=0), help="Wait at most so many seconds.")
@as_json
def wait(run_id: str, seconds: float | None, as_json: bool) -> int:
    """Wait until a run has ended, needs an answer, or its process is gone; its result goes to stdout."""

    async def work(app: App) -> tuple[RunInfo, str]:
        from mcp_llm.runs.wait import ended

        info = await ended(app.journals, run_id, ME, seconds)
        return info, await said(app.journals, info)

    return _show(_do(work), as_json)


@command.command()
@run_id
@click.option("--offset", type=click.IntRange(min=0), default=0, help="The first character.")
@click.option("--limit", type=click.IntRange(min=1), help="So many characters; all of them without it.")
@as_json
def read(run_id: str, offset: int, limit: int | None, as_json: bool) -> int:
    """A run's result, or what there is of it so far; also a long text by its handle."""

    async def work(app: App) -> tuple[RunInfo | None, str]:
        if "." in run_id:
            return None, (await app.journals.read_text(run_id, ME, 0, MOST)).text
        info = await app.journals.get(run_id, ME)
        return info, await said(app.journals, info)

    found = _do(work)
    if isinstance(found, int):
        return found
    info, text = found
    if as_json:
        terminal.dump(data(info) if info is not None else text)
        return 0
    terminal.line(text[offset:] if limit is None else text[offset : offset + limit])
    if info is not None and info.status != "finished":
        terminal.note(f"[{info.status}]", dim=True)
    return 0


@command.command()
@run_id
def cancel(run_id: str) -> int:
    """End a run: whoever drives it is asked to, and a provider that works something off for it is told."""

    async def work(app: App) -> tuple[RunInfo, str | None]:
        from mcp_llm.server.resumable import register

        register(app)
        return await app.resumers.cancel(app.journals, run_id, ME, 5.0)

    found = _do(work)
    if isinstance(found, int):
        return found
    info, words = found
    going = "asked to end; its process has not done so yet" if info.live else info.status
    terminal.note(f"run {run_id}: {words or going}")
    return 1 if info.live or info.status == "interrupted" else 0


@command.command()
@run_id
@click.option("--again", is_flag=True, help="Also where a call may be paid twice.")
@as_json
def resume(run_id: str, again: bool, as_json: bool) -> int:
    """Go on with a run whose process is gone, in this process; what was done is not repeated."""

    async def work(app: App) -> tuple[RunInfo, str]:
        from mcp_llm.runs.resume import drive
        from mcp_llm.server.resumable import register

        register(app)
        journal, resumer = await app.resumers.claim(app.journals, run_id, ME, again=again)
        await drive(resumer, journal)
        info = await app.journals.get(run_id, ME)
        return info, await said(app.journals, info)

    return _show(_do(work), as_json)


@command.command()
@run_id
@click.argument("answer")
@click.option("--question", help="Which one, where the run asks several things.")
def answer(run_id: str, answer: str, question: str | None) -> int:
    """Answer what a run asks: yes, no, or any JSON."""
    value: Any = {"yes": True, "y": True, "allow": True, "no": False, "n": False, "deny": False}.get(answer.lower())
    if value is None:
        try:
            value = json.loads(answer)
        except ValueError:
            value = answer
    found = _do(lambda app: app.journals.answer(run_id, ME, value, question))
    if isinstance(found, int):
        return found
    terminal.note(f"answered {found}")
    return 0


@command.command()
@run_id
@click.option("--jsonl", is_flag=True, help="One JSON event a line; the only form there is.")
def export(run_id: str, jsonl: bool) -> int:
    """The events of a run, as its journal has them."""

    async def work(app: App) -> list[Any]:
        from mcp_llm.types.events import dump

        found = [dump(event) for event in await app.journals.events(run_id, principal=ME)]
        if not found:
            raise InvalidInput(f"run {run_id} has no events: it was answered in one go; `mcp-llm runs read` shows it")
        return found

    events = _do(work)
    if isinstance(events, int):
        return events
    for event in events:
        terminal.dump(event, indent=None)
    return 0


@command.command()
@click.option("--days", type=click.IntRange(min=0), help="Only what is older; the settings' `keep.days` without it.")
@click.option("--compact", is_flag=True, help="Write the database anew too; servers on it wait meanwhile.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def prune(days: int | None, compact: bool, as_json: bool) -> int:
    """Let go of old runs, conversations and artifacts now, as servers do by themselves; says what went."""

    async def work(app: App) -> Gone:
        from dataclasses import replace

        from anyio import to_thread

        from mcp_llm.runs.retention import Retention
        from mcp_llm.store import space

        await app.store.start()
        app.store.must_last("there is nothing to let go of")
        keep = app.config.settings.keep
        if days is not None:
            keep = keep.model_copy(update={"days": days})
        gone = await Retention(app.store, app.artifacts, keep).apply()
        if compact and app.store.path is not None:
            await to_thread.run_sync(space.compact, app.store.path)
            return replace(gone, bytes=await app.store.read(space.used))
        return gone

    found = _do(work)
    if isinstance(found, int):
        return found
    if as_json:
        terminal.dump(asdict(found))
        return 0
    terminal.line(
        f"gone: {found.runs:,} runs, {found.conversations:,} conversations, {found.artifacts:,} artifacts "
        f"({found.artifact_bytes:,} bytes), {found.calls:,} rows of the token log; "
        f"the database now uses {found.bytes:,} bytes"
    )
    return 0


def _do(work: Callable[[App], Awaitable[T]]) -> T | int:
    """What the work gives, or the exit code where a signal ended it."""
    try:
        return running.run(work)
    except running.Interrupted as exc:
        return exc.code


def _show(found: tuple[RunInfo, str] | int, as_json: bool) -> int:
    if isinstance(found, int):
        return found
    info, text = found
    if as_json:
        terminal.dump(data(info))
    elif info.status == "failed":
        terminal.problem(str(info.result.get("error") or "failed"))
        if partial := info.result.get("partial"):
            terminal.line(str(partial))
    elif text:
        terminal.line(text)
    if not as_json and info.status != "finished":
        terminal.note(f"[{info.status}]", dim=True)
    return 0 if info.status == "finished" else 1


def data(info: RunInfo) -> dict[str, Any]:
    """A run as JSON."""
    return {
        "run_id": info.id,
        "kind": info.kind,
        "status": info.status,
        "created": info.created,
        "updated": info.updated,
        "model": info.model,
        "parent": info.parent,
        "rerun": info.request.get("rerun"),
        "attempts": info.attempts,
        "result": info.result,
    }


def says(info: RunInfo) -> str:
    """The first words of it; dots where there are more."""
    text = info.result.get("response") or info.result.get("error") or info.request.get("prompt") or ""
    words = " ".join(str(text).split())
    return words if len(words) <= 60 else f"{words[:57].rstrip()}..."


def when(ms: int) -> str:
    """A time of day or a date, local."""
    from datetime import datetime

    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
