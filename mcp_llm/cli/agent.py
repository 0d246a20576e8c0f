"""`mcp-llm agent`: a task for an agent with tools, from the shell. The answer goes to stdout, the rest to stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final, cast

import click

from . import running, terminal, written
from .ask import EFFORTS

if TYPE_CHECKING:
    from collections.abc import Collection

    from mcp_llm.agent.task import AgentResult, Task
    from mcp_llm.app import App
    from mcp_llm.llm.service import Service
    from mcp_llm.runs.approval import Approver
    from mcp_llm.types.events import Event

EXAMPLES: Final = """\b
Examples:
  mcp-llm agent --server time "What time is it in Tokyo?"
  mcp-llm agent --with "time=uvx mcp-server-time" "What time is it in Tokyo?"
  git diff | mcp-llm agent --agent reviewer --server files "Review this change"
  mcp-llm agent --continue-from RUN "And now the tests"
"""


@click.command(epilog=EXAMPLES)
@click.argument("prompt", nargs=-1)
@click.option("-a", "--agent", metavar="NAME", help="An agent's file (see `mcp-llm prompts`).")
@click.option("-m", "--model", help="provider:model, a model's id, an alias, pro|balanced|lite, or auto.")
@click.option("--server", "servers", multiple=True, metavar="NAME", help="A configured MCP server; may be repeated.")
@click.option("--with", "brought", multiple=True, metavar="NAME=COMMAND|URL", help="A server for this run only.")
@click.option("--no-servers", is_flag=True, help="None at all; without any of these, all that are configured.")
@click.option("--tool", "tools", multiple=True, metavar="GLOB", help="Only these tools; may be repeated.")
@click.option("-s", "--instruction", help="The system's words.")
@click.option("--schema", metavar="FILE|JSON", help="Answer as JSON of this JSON Schema; exit 5 if it does not fit.")
@click.option("--continue-from", metavar="RUN", help="Go on with the conversation of an ended run.")
@click.option("--effort", type=click.Choice(EFFORTS), help="How much it should reason.")
@click.option("--budget-usd", type=click.FloatRange(0), help="The most the run may cost, delegates included.")
@click.option("--max-turns", type=click.IntRange(1), help="Replies of the model.")
@click.option("--max-seconds", type=click.FloatRange(0, min_open=True), help="Of the wall clock.")
@click.option("--yes", is_flag=True, help="Call every tool without asking.")
@click.option("--json", "as_json", is_flag=True, help="The whole result as one JSON object, errors too.")
@click.option("--jsonl", "as_events", is_flag=True, help="One JSON event a line, as they happen.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no receipt.")
def command(prompt: tuple[str, ...], **given: Any) -> int:
    """Hand a task to an agent. A tool that the settings say to ask for is asked for here; without a terminal the
    question waits for `mcp-llm runs answer`, and the answer after its deadline is no.

    The task is PROMPT, followed by stdin where something is piped in. A run that a limit has ended exits with 4.
    """
    if given["as_json"] and given["as_events"]:
        raise click.UsageError("--json and --jsonl exclude one another")
    if (given["servers"] or given["brought"]) and given["no_servers"]:
        raise click.UsageError("--no-servers excludes --server and --with")
    text, attached = written.prompt(prompt)
    if attached:
        raise click.UsageError("what is piped in is no text: give the agent a server that can read it")
    if not text.strip():
        raise click.UsageError('nothing to do: give a task (mcp-llm agent "...") or pipe one in')
    config = running.load()
    brought = written.servers(given["brought"])
    config.settings = config.settings.model_copy(update={"servers": {**config.settings.servers, **brought}})
    task = _task(text, given, brought)

    async def work(service: Service) -> int:
        result = await _run(cast("App", service), task, given)
        return 4 if result.stop_reason == "budget" else 0

    try:
        return running.run(work, config)
    except running.Interrupted as exc:
        terminal.problem("interrupted; `mcp-llm runs list` shows what is kept of the run")
        return exc.code


def _task(text: str, given: dict[str, Any], brought: Collection[str]) -> Task:
    from mcp_llm.agent.task import Limits, Task

    return Task(
        prompt=text,
        agent=given["agent"],
        model=given["model"],
        servers=() if given["no_servers"] else (*given["servers"], *brought) or None,
        tools=given["tools"] or None,
        instruction=given["instruction"],
        json_schema=written.schema(given["schema"]),
        continue_from=given["continue_from"],
        effort=given["effort"],
        budget=Limits(usd=given["budget_usd"], turns=given["max_turns"], seconds=given["max_seconds"]),
    )


async def _run(app: App, task: Task, given: dict[str, Any]) -> AgentResult:
    from mcp_llm.agent.operation import run_agent
    from mcp_llm.runs.store import new_id

    run_id = new_id()
    shown = Shown(run_id, given)
    try:
        result = await run_agent(
            app,
            app.journals,
            task,
            run_id=run_id,
            approver=approver(yes=given["yes"]),
            sinks=(shown,),
            bound=bool(given["brought"]),
        )
    except Exception as exc:
        shown.fail(exc)
        raise
    shown.finish(result)
    return result


class Shown:
    """A sink that writes what the flags ask for."""

    def __init__(self, run_id: str, given: dict[str, Any]) -> None:
        self._run_id = run_id
        self._given = given
        self._ended = False

    def emit(self, event: Event) -> None:
        """An event of the run."""
        from mcp_llm.agent.lines import line
        from mcp_llm.types.events import LAST, dump

        self._ended = self._ended or isinstance(event, LAST)
        if self._given["as_events"]:
            terminal.dump(dump(event), indent=None)
        elif not self._given["quiet"] and not self._given["as_json"] and (words := line(event)) is not None:
            terminal.note(words, dim=True)

    def finish(self, result: AgentResult) -> None:
        """The answer."""
        if self._given["as_events"]:
            return
        if self._given["as_json"]:
            terminal.dump(result.model_dump(mode="json"))
            return
        words = result.response if result.parsed is None else json.dumps(result.parsed, ensure_ascii=False)
        if words:
            terminal.write(words if words.endswith("\n") else f"{words}\n")
        for note in result.warnings:
            terminal.note(f"note: {note}")
        if not self._given["quiet"]:
            terminal.note(f"[{result.receipt}]", dim=True)

    def fail(self, error: Exception) -> None:
        """Why there is none; as an event or as JSON where those were asked for, once."""
        from mcp_llm.runs.ending import failure
        from mcp_llm.types.events import dump

        event = failure(error)
        if self._given["as_events"] and not self._ended:
            terminal.dump(dump(event.model_copy(update={"run_id": self._run_id})), indent=None)
        elif self._given["as_json"]:
            said = event.model_dump(mode="json", exclude_none=True, include={"error", "kind", "provider", "partial"})
            terminal.dump({"error": said, "run_id": self._run_id})
            error.add_note(terminal.TOLD)


def approver(*, yes: bool) -> Approver:
    """Who is asked about a tool: nobody (everything is allowed), or the person at the terminal."""
    return _yes if yes else _asked


async def _yes(_: dict[str, Any]) -> Any:
    return True


async def _asked(question: dict[str, Any]) -> Any:
    """The answer of the person at the terminal; None where there is none."""
    if sys.stdin is None or not sys.stdin.isatty() or not sys.stderr.isatty():
        return None
    import anyio.to_thread

    args = json.dumps(question["args"], ensure_ascii=False, indent=1)
    terminal.note(f"{question['message']}\n{args}")
    if question.get("description"):
        terminal.note(f"it says of itself: {question['description']}", dim=True)
    return await anyio.to_thread.run_sync(_read, abandon_on_cancel=True)


def _read() -> str:
    terminal.note("[y/n/always] ", end="")
    return sys.stdin.readline().strip() or "no"
