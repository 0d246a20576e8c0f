"""`mcp-llm demo`: what a host does, step by step, with a real server process; then what to paste into a host."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from mcp_llm.errors import ToolFailed

from . import hosts, running, terminal
from .vocabulary import spoken

PROMPT: Final = "In one sentence: what is the Model Context Protocol?"
STEPS: Final = ("starting the server", "listing the tools", "list_models", "generate")
MODULE: Final = ("-m", "mcp_llm", "serve")

EXAMPLES: Final = """\b
Examples:
  mcp-llm demo
  mcp-llm demo "Name a colour" --json
"""


@click.command(epilog=EXAMPLES)
@click.argument("prompt", default=PROMPT)
@click.option("--json", "as_json", is_flag=True, help="What was found as one JSON object.")
def command(prompt: str, as_json: bool) -> int:
    """Start the server over stdio, list its tools and models, ask PROMPT, and print the config for hosts.

    Needs no key: without one the built-in demo answers, which is no language model. With one, the model in force does.
    """
    import anyio

    from mcp_llm import config as configuration
    from mcp_llm.server.trial import trial

    config = running.load()
    steps: list[dict[str, Any]] = []
    failed: str | None = None

    def tell(step: str, data: dict[str, Any]) -> None:
        steps.append({"step": step, **data})
        if not as_json:
            terminal.line(_words(len(steps), step, data))

    async def work() -> None:
        await trial([sys.executable, *MODULE], configuration.child_environment(), prompt, tell)

    try:
        anyio.run(lambda: running.attended(work, last=True))
    except running.Interrupted as exc:
        return exc.code
    except ToolFailed as exc:
        failed = spoken(str(exc))
        if not as_json:
            terminal.line(terminal.fold(_failure(len(steps), failed), terminal.width(sys.stdout)))
    found = hosts.snippets(config)
    if as_json:
        terminal.dump({"steps": steps, **({"error": failed} if failed else {}), "hosts": found})
        return 1 if failed else 0
    terminal.line("\nTo use it from a host: mcp-llm install NAME, or paste what belongs into its file yourself.\n")
    terminal.line(
        terminal.table(("NAME", "host", "its file"), [(one["id"], one["host"], one["where"]) for one in found])
    )
    usual = min((one for one in found if "mcpServers" in one["paste"]), key=lambda one: len(one["paste"]))
    terminal.line(f"\n# most take this; mcp-llm install NAME --print shows any\n{usual['paste']}")
    terminal.line(
        "\nKeys go into .env in the config folder (`mcp-llm config path` is beside it), not into these files."
    )
    return 1 if failed else 0


def _failure(done: int, words: str) -> str:
    """The step that failed, and who is to blame: before the tools are listed the server, later what it asks."""
    step = STEPS[min(done, len(STEPS) - 1)]
    told = f"{done + 1}. {step} failed: {words.rstrip().removesuffix('.')}."
    return f"{told} The server itself works; `mcp-llm doctor --check` says what to mend." if done > 1 else told


def _words(number: int, step: str, data: dict[str, Any]) -> str:
    told = {
        "started": "server started: {server}, protocol {protocol} ({era} era)",
        "tools": "tools listed: {tools}",
        "models": "list_models: {count} can be asked; in force {default} ({because})",
        "answer": "generate({prompt!r}):\n\n{text}",
    }[step]
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in data.items()}
    return f"{number}. {told.format(**shown)}"
