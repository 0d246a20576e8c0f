"""`mcp-llm prompts`: the prompt files that can be asked by name, and what each takes."""

from __future__ import annotations

from typing import Final

import click

from . import running, terminal

EXAMPLES: Final = """\b
Examples:
  mcp-llm prompts
  mcp-llm prompts reviewer
  mcp-llm ask --prompt summarize --arg "text=..."
"""


@click.command(epilog=EXAMPLES)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(name: str | None, as_json: bool) -> None:
    """List the prompts, or show the one called NAME. Yours are Markdown files in the config folder's prompts/."""
    from mcp_llm.errors import InvalidInput
    from mcp_llm.prompts import Prompts

    prompts = Prompts((running.load().folder / "prompts",))
    found = prompts.all()
    for words in prompts.problems:
        terminal.problem(words)
    if name is not None:
        if name not in found:
            raise InvalidInput(f"there is no prompt {name!r}; there are {', '.join(found) or 'none'}")
        found = {name: found[name]}
    if as_json:
        terminal.dump([{"name": one.name, **one.front.model_dump(mode="json")} for one in found.values()])
    elif name is not None:
        terminal.write(found[name].body)
    else:
        rows = [
            (
                one.name,
                " ".join(f"{slot.name}{'' if slot.required else '?'}" for slot in one.front.arguments),
                one.front.title,
            )
            for one in found.values()
        ]
        terminal.line(terminal.table(("prompt", "arguments", "title"), rows))
