"""`mcp-llm workflow`: run, check, draw, list, begin YAML workflows. The result goes to stdout, all else to stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import click

from mcp_llm.errors import InvalidInput

from . import running, terminal, written
from .agent import approver
from .grouped import Group

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.config import Config
    from mcp_llm.llm.service import Service
    from mcp_llm.types.events import Event
    from mcp_llm.workflow.load import Node
    from mcp_llm.workflow.plan import Plan
    from mcp_llm.workflow.schema import WorkflowResult

SAMPLE: Final = """\
name: {name}
description: Several ideas at once, then the best of them as a plan.
inputs:
  topic: {{type: string, description: what it is about, default: a garden in the shade}}
tasks:
  - id: ideas
    method: llm/generate
    parameters:
      prompt: "Three ideas for ${{inputs.topic}}, one line each."
  - id: doubts
    method: llm/generate
    parameters:
      prompt: "What usually goes wrong with ${{inputs.topic}}? Three lines."
  - id: plan
    method: llm/generate
    retry: 3
    parameters:
      prompt: |
        Choose the best of these ideas and write a short plan that avoids the mistakes.

        Ideas:
        ${{ideas.response}}

        Mistakes:
        ${{doubts.response}}
outputs:
  plan: ${{plan.response}}
"""

EXAMPLES: Final = """\b
Examples:
  mcp-llm workflow init ideas.yaml
  mcp-llm workflow run ideas.yaml -i topic="a bakery" --watch
  mcp-llm workflow check ideas.yaml
  mcp-llm workflow graph ideas.yaml --mermaid
"""

source = click.argument("workflow", metavar="FILE|NAME")


@click.group(cls=Group, epilog=EXAMPLES)
def command() -> None:
    """YAML files of tasks that use one another's results. A NAME is a file in the config folder's `workflows`."""


@command.command()
@source
@click.option("-i", "--input", "inputs", multiple=True, metavar="KEY=VALUE", help="An input; may be repeated.")
@click.option("--budget-usd", type=click.FloatRange(0), help="The most the whole may cost.")
@click.option("--watch", is_flag=True, help="Each task as it starts and ends, also without a terminal.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the whole result there as JSON.")
@click.option("--yes", is_flag=True, help="Call every tool without asking.")
@click.option("--dry-run", is_flag=True, help="Only what it would do, and what it would cost.")
@click.option("--json", "as_json", is_flag=True, help="The whole result as one JSON object, errors too.")
@click.option("--jsonl", "as_events", is_flag=True, help="One JSON event a line, as they happen.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no receipt.")
def run(workflow: str, inputs: tuple[str, ...], **given: Any) -> int:
    """Run a workflow. Exits with 1 where a task failed, with 4 where the budget ended it; what was done is kept.

    A run that was cut off is gone on with by `mcp-llm runs resume RUN`: what has ended is not done again.
    """
    if given["as_json"] and given["as_events"]:
        raise click.UsageError("--json and --jsonl exclude one another")
    written.possible(given["output"])
    config = running.load()
    node = _node(config, workflow)
    values = written.pairs(inputs, decoded=False)

    async def work(service: Service) -> int:
        return await _run(cast("App", service), node, values, given)

    try:
        return running.run(work, config)
    except running.Interrupted as exc:
        terminal.problem("interrupted; `mcp-llm runs list` shows what is kept of the run")
        return exc.code


async def _run(app: App, node: Node, values: dict[str, str], given: dict[str, Any]) -> int:
    from mcp_llm import steps
    from mcp_llm.runs.store import new_id
    from mcp_llm.workflow.inputs import spoken
    from mcp_llm.workflow.operation import check, run_workflow
    from mcp_llm.workflow.quote import quote

    host = steps.host(app, approver=approver(yes=given["yes"]))
    checked = check(host, node)
    inputs = spoken(checked.workflow, values)
    if given["dry_run"]:
        quoted = await quote(app, checked, inputs, given["budget_usd"])
        terminal.dump(quoted.model_dump(mode="json")) if given["as_json"] else terminal.line(quoted.response)
        return 0
    run_id = new_id()
    shown = Shown(given)
    try:
        result = await run_workflow(host, node, inputs, run_id=run_id, budget_usd=given["budget_usd"], sinks=(shown,))
    except Exception as exc:
        shown.fail(exc, run_id)
        raise
    shown.finish(result)
    text = result.model_dump_json(indent=2, exclude_none=True) + "\n"
    if not written.kept(given["output"], text.encode(), f"`mcp-llm runs read {run_id} --json` has the result"):
        return 1
    return 0 if result.status == "completed" else 4 if result.stop_reason == "budget" else 1


class Shown:
    """A sink that writes what the flags ask for."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._ended = False
        self._lines = not (given["quiet"] or given["as_events"]) and (given["watch"] or sys.stderr.isatty())

    def emit(self, event: Event) -> None:
        """An event of the run."""
        from mcp_llm.types.events import LAST, dump
        from mcp_llm.workflow.lines import line

        self._ended = self._ended or isinstance(event, LAST)
        if self._given["as_events"]:
            terminal.dump(dump(event), indent=None)
        elif self._lines and (words := line(event)) is not None:
            terminal.note(words, dim=True)

    def finish(self, result: WorkflowResult) -> None:
        """What came of it."""
        if self._given["as_events"]:
            return
        if self._given["as_json"]:
            terminal.dump(result.model_dump(mode="json"))
            return
        if result.response:
            terminal.write(result.response if result.response.endswith("\n") else f"{result.response}\n")
        for one in result.tasks:
            if one.status in {"failed", "cancelled"}:
                terminal.problem(f"{one.task_id} {one.status}: {one.error}")
        for note in result.warnings:
            terminal.note(f"note: {note}")
        if not self._given["quiet"]:
            terminal.note(f"[{result.receipt}]", dim=True)

    def fail(self, error: Exception, run_id: str) -> None:
        """Why there is no result; as an event or as JSON where those were asked for, once."""
        from mcp_llm.runs.ending import failure
        from mcp_llm.types.events import dump

        event = failure(error)
        if self._given["as_events"] and not self._ended:
            terminal.dump(dump(event.model_copy(update={"run_id": run_id})), indent=None)
        elif self._given["as_json"]:
            said: dict[str, Any] = {"kind": event.kind, "error": event.error}
            terminal.dump({"error": said | {"problems": list(getattr(error, "problems", ()))}, "run_id": run_id})
            error.add_note(terminal.TOLD)


@command.command()
@source
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def check(workflow: str, as_json: bool) -> int:
    """Find everything that is wrong with a workflow, each fault with its line. Nothing is asked or started."""
    config = running.load()
    found = _checked(config, _node(config, workflow))
    if as_json:
        terminal.dump({"workflow": found.workflow.name, "tasks": len(found.steps), "problems": []})
        return 0
    terminal.line(f"{found.workflow.name}: {len(found.steps)} tasks, nothing is wrong")
    return 0


@command.command()
@source
@click.option("--mermaid", is_flag=True, help="As a Mermaid flowchart.")
def graph(workflow: str, mermaid: bool) -> int:
    """Which task waits for which."""
    from mcp_llm.workflow import graph as drawing

    config = running.load()
    found = _checked(config, _node(config, workflow))
    terminal.line(drawing.mermaid(found) if mermaid else drawing.text(found))
    return 0


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_(as_json: bool) -> int:
    """The workflows in the config folder's `workflows`, which hosts can run too, with their inputs."""
    from mcp_llm.workflow.folder import listed
    from mcp_llm.workflow.inputs import signature

    found = listed(running.load().folder / "workflows")
    if as_json:
        rows = [
            {
                "name": name,
                "broken": one is None,
                **(one.model_dump(mode="json", include={"description", "inputs"}) if one else {}),
            }
            for name, one in found
        ]
        terminal.dump(rows)
        return 0
    if not found:
        terminal.note("no workflows; `mcp-llm workflow init NAME` begins one there")
    for name, one in found:
        terminal.line(
            f"{name}: is broken; `mcp-llm workflow check {name}` says how"
            if one is None
            else f"{signature(one, name)}" + (f"  {one.description}" if one.description else "")
        )
    return 0


@command.command()
@click.argument("name", metavar="FILE|NAME")
def init(name: str) -> int:
    """Begin a workflow: a small one that works, in FILE, or under NAME in the config folder's `workflows`."""
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        if not path.name or path.name != name:
            raise click.BadParameter(f"{name!r} is neither a name nor a .yaml file")
        path = running.load().folder / "workflows" / f"{name}.yaml"
    try:
        if path.name != name:
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(SAMPLE.format(name=path.stem))
    except FileExistsError:
        raise InvalidInput(f"{name} is there already: it stays as it is") from None
    except OSError as exc:
        raise InvalidInput(f"{name} cannot be written: {exc.strerror}") from None
    terminal.note(f"wrote {path}; try: mcp-llm workflow run {name}")
    return 0


def _node(config: Config, workflow: str) -> Node:
    """The file of this path, else the workflow of this name."""
    from mcp_llm.workflow import folder

    return folder.find(config.folder / "workflows", workflow)


def _checked(config: Config, node: Node) -> Plan:
    from mcp_llm import steps
    from mcp_llm.workflow.operation import check

    async def work(service: Service) -> Plan:
        return check(steps.host(cast("App", service)), node)

    return running.run(work, config)
