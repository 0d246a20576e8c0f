"""`mcp-llm runs record|import|replay|rerun|diff|schema`: runs as files, made again, and beside one another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcp_llm import __version__

from . import running, terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_llm.agent.replaying import Replayed
    from mcp_llm.app import App
    from mcp_llm.runs.diff import Pair, RunDiff, Side, Turn
    from mcp_llm.runs.recording import Recording
    from mcp_llm.runs.replay import Difference

ME = "local"
EXAMPLES = """\b
Examples:
  mcp-llm runs rerun RUN --model demo
  mcp-llm runs rerun run.jsonl --step 2 --model anthropic:balanced
"""
source = click.argument("run", metavar="RUN|FILE")
as_json = click.option("--json", "as_json", is_flag=True, help="As one JSON object.")


@click.command()
@click.argument("run")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; stdout without it.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def record(run: str, output: Path | None, force: bool) -> int:
    """Write a run as a file of JSON lines, without secrets: to replay, compare or keep as a test."""

    async def work(app: App) -> tuple[Recording, str]:
        from mcp_llm.runs import keys, recording

        found = await recording.take(app.journals, run, ME)
        return found, "".join(recording.lines(found, keys.redactor(app.config), by=__version__))

    from mcp_llm.runs.recording import save

    found, text = running.done(work)
    if output is None:
        terminal.write(text, raw=True)
        return 0
    try:
        save(output, text, replace=force)
    except FileExistsError:
        raise click.UsageError(f"{output} is there already; --force replaces it") from None
    except OSError as exc:
        raise click.UsageError(f"{output} cannot be written: {exc.strerror}") from None
    parts = [f"{sum(len(one.events) for one in found.all())} events"]
    if below := sum(1 for _ in found.all()) - 1:
        parts.append(f"{below} delegates")
    terminal.note(f"{output}: run {run}, {', '.join(parts)}; try `mcp-llm runs replay {output}`", dim=True)
    return 0


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def imported(file: Path) -> int:
    """Keep a recorded run among the runs of this machine; its id goes to stdout. Nothing of it is run."""

    async def work(app: App) -> tuple[str, bool]:
        from mcp_llm.runs import recording

        found = recording.load(file)
        return found.id, await recording.keep(app.journals, found, ME)

    run_id, new = running.done(work)
    terminal.line(run_id)
    if not new:
        terminal.note("it was here already", dim=True)
    return 0


@click.command()
@click.argument("runs", metavar="RUN|FILE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
def replay(runs: tuple[str, ...], as_json: bool) -> int:
    """Make agents' runs again, offline and at no cost, and say whether they go the same way.

    The recorded replies and tool results are used; no provider is asked, no server started. Exit code 1: one differs.
    """

    async def work(app: App) -> list[Replayed]:
        from mcp_llm.agent.replaying import replay as again
        from mcp_llm.runs.recording import find

        return [await again(app, await find(app.journals, run, ME)) for run in runs]

    found = running.done(work)
    if as_json:
        terminal.dump([one.model_dump(mode="json") for one in found])
    else:
        for run, one in zip(runs, found, strict=True):
            for words in _replayed(one, f"run {run}" if run == one.run_id else run):
                terminal.line(words)
    return 0 if all(one.identical for one in found) else 1


def _replayed(found: Replayed, name: str, indent: str = "") -> Iterable[str]:
    verdict = "differs" if found.differences else "identical"
    made = f"{found.replayed} of {found.steps} model calls, {found.calls} tool calls"
    yield f"{indent}{verdict}  {name}: {made}; it ended with {_short(found.ended, 100)}"
    yield from (f"{indent}  {words}" for one in found.differences for words in _parted(one))
    for child in found.children:
        yield from _replayed(child, f"run {child.run_id}", f"{indent}  ")


def _parted(one: Difference, names: tuple[str, str] = ("recorded", "now")) -> Iterable[str]:
    place = "at the end" if one.step is None else f"step {one.step}"
    width = max(map(len, names))
    yield f"{place}: {one.where}"
    yield f"  {names[0]:<{width}}  {_short(one.recorded, 300)}"
    yield f"  {names[1]:<{width}}  {_short(one.found, 300)}"


@click.command(epilog=EXAMPLES)
@source
@click.option("-s", "--step", type=click.IntRange(min=0), default=0, show_default=True, help="The first one made live.")
@click.option("-m", "--model", help="Who answers from there on; the same as before without it.")
@click.option("--budget-usd", type=click.FloatRange(min=0), help="Dollars it may spend, delegates included.")
@click.option("--max-turns", type=click.IntRange(min=1), help="Model calls at most, recorded ones counted.")
@click.option("--yes", is_flag=True, help="Allow every tool call that would ask.")
@click.option("-q", "--quiet", is_flag=True, help="Only the answer.")
@click.option("--json", "as_json", is_flag=True, help="The whole result as JSON.")
@click.option("--jsonl", "as_events", is_flag=True, help="Every event as a line of JSON.")
def rerun(run: str, **given: Any) -> int:
    """Go on from a step of a recorded run, live: another model, the same words and results before it.

    The steps before are taken from the record: they cost nothing, and what their tools did is not done again.
    """

    async def work(app: App) -> int:
        from mcp_llm.agent import rerun as again
        from mcp_llm.agent.task import Limits
        from mcp_llm.runs import recording
        from mcp_llm.runs.store import new_id

        from .agent import Shown, approver

        found = await recording.find(app.journals, run, ME)
        await recording.keep(app.journals, found, ME)
        run_id = new_id()
        shown = Shown(run_id, given)
        try:
            result = await again.rerun(
                app,
                app.journals,
                found,
                step=given["step"],
                model=given["model"],
                budget=Limits(usd=given["budget_usd"], turns=given["max_turns"]),
                run_id=run_id,
                approver=approver(yes=given["yes"]),
                sinks=(shown,),
            )
        except Exception as exc:
            shown.fail(exc)
            raise
        shown.finish(result)
        if not given["quiet"]:
            terminal.note(f"compare: mcp-llm runs diff {found.id} {run_id}", dim=True)
        return 4 if result.stop_reason == "budget" else 0

    return running.done(work)


@click.command("diff")
@click.argument("a", metavar="RUN|FILE")
@click.argument("b", metavar="RUN|FILE")
@as_json
def compared(a: str, b: str, as_json: bool) -> int:
    """Two runs side by side: model calls, tools, answers, tokens, dollars, seconds. Exit code 1: they differ."""

    async def work(app: App) -> RunDiff:
        from mcp_llm.runs.diff import diff
        from mcp_llm.runs.recording import find

        return diff(await find(app.journals, a, ME), await find(app.journals, b, ME))

    found = running.done(work)
    if as_json:
        terminal.dump(found.model_dump(mode="json"))
        return 0 if found.same else 1
    terminal.line(terminal.table(("", "A", "B"), _sides(found.a, found.b)))
    if found.steps:
        terminal.line()
        head = ("step", "A", "B", "differs in")
        terminal.line(terminal.table(head, [row for pair in found.steps for row in _rows(pair)]))
    terminal.line()
    terminal.line("They say and do the same." if found.same else "They differ:")
    for one in found.differs:
        for words in _parted(one, ("A", "B")):
            terminal.line(f"  {words}")
    return 0 if found.same else 1


def _sides(a: Side, b: Side) -> Iterable[tuple[str, str, str]]:
    for name in ("run_id", "kind", "status", "model", "stop_reason", "turns", "calls"):
        yield name, _cell(getattr(a, name)), _cell(getattr(b, name))
    if a.rerun_of or b.rerun_of:
        yield "taken from", _taken(a), _taken(b)
    yield "tokens", _tokens(a), _tokens(b)
    yield "dollars", _dollars(a), _dollars(b)
    yield "seconds", _seconds(a), _seconds(b)
    yield "answer", _short(a.answer or a.error or "-", 60), _short(b.answer or b.error or "-", 60)


def _taken(side: Side) -> str:
    return f"{side.rerun_of}, before step {side.rerun_step}" if side.rerun_of else "-"


def _rows(pair: Pair) -> Iterable[tuple[str, str, str, str]]:
    a, b = pair.a, pair.b
    yield str(pair.index), _cell(a and a.model), _cell(b and b.model), ", ".join(pair.differs)
    yield "", _turn(a), _turn(b), ""


def _turn(turn: Turn | None) -> str:
    if turn is None:
        return "-"
    calls = ", ".join(f"{call.tool}{'!' if call.is_error else ''}" for call in turn.calls)
    said = f"[{calls}]" if calls else _short(turn.text or "-", 40)
    return f"{said}  {_tokens(turn)}  {_dollars(turn)}  {_seconds(turn)}"


def _cell(value: Any) -> str:
    return "-" if value is None else str(value)


def _tokens(side: Side | Turn) -> str:
    return f"{_cell(side.usage.input)} in / {_cell(side.usage.output)} out"


def _dollars(side: Side | Turn) -> str:
    return "$?" if side.cost.usd is None else f"${side.cost.usd:.6g}"


def _seconds(side: Side | Turn) -> str:
    return "- s" if side.latency_ms is None else f"{side.latency_ms / 1000:.1f} s"


def _short(text: str, most: int) -> str:
    words = " ".join(text.split())
    return words if len(words) <= most else f"{words[: most - 3]}..."


@click.command()
def schema() -> int:
    """The JSON Schema of a run's events, as `--jsonl`, `runs export` and recordings have them."""
    from mcp_llm.types.events import schema as published

    terminal.dump(published())
    return 0


COMMANDS = (record, imported, replay, rerun, compared, schema)
