"""`mcp-llm embed`: texts to vectors, one JSON line each."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from . import making, terminal, written

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.llm.doing import Call
    from mcp_llm.types.embed import Embedded

EXAMPLES = """\b
Examples:
  mcp-llm embed "one text" "another text"
  mcp-llm embed --lines --type document < texts.txt > vectors.jsonl
"""


@click.command(epilog=EXAMPLES)
@click.argument("text", nargs=-1)
@click.option("--lines", is_flag=True, help="Every line of stdin is a text; else all of it is one.")
@click.option("--dimensions", type=click.IntRange(1), help="How long the vectors shall be.")
@click.option(
    "--type",
    "input_type",
    type=click.Choice(["query", "document", "classification", "clustering", "similarity"]),
    help="What the texts are for.",
)
@click.option("--truncate/--no-truncate", default=None, help="Cut texts that are too long, or refuse them.")
@click.option("--continue-from", metavar="ID", help="Go on with a call that failed on the way; its error named it.")
@making.options
def command(text: tuple[str, ...], **given: Any) -> int:
    """Embed texts. One line of JSON a text goes to stdout: {"index": 0, "embedding": [...]}."""
    texts = _texts(text, lines=given["lines"])

    async def work(service: App, call: Call) -> Embedded:
        from mcp_llm.llm.embed import embed

        return await embed(
            service,
            texts,
            dimensions=given["dimensions"],
            input_type=given["input_type"],
            truncate=given["truncate"],
            continue_from=given["continue_from"],
            **call,
        )

    return making.run(given, work, _show)


def _texts(words: tuple[str, ...], *, lines: bool) -> list[str]:
    if words and (words != ("-",)) and (sys.stdin.isatty() or not lines):
        return list(words)
    text, attached = written.prompt(("-",))
    if attached:
        raise click.UsageError("stdin holds no text; only text can be embedded")
    found = [line for line in text.split("\n") if line.strip()] if lines else [text] if text.strip() else []
    if not found:
        raise click.UsageError('nothing to embed: give texts (mcp-llm embed "...") or pipe them in')
    return [*(word for word in words if word != "-"), *found]


def _show(result: Embedded) -> None:
    for index, vector in enumerate(result.embeddings):
        terminal.line(json.dumps({"index": index, "embedding": vector.tolist()}, separators=(",", ":")))
