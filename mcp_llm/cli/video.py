"""`mcp-llm video`: a short film from words and pictures, as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import making, terminal, written

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.llm.doing import Call
    from mcp_llm.types.video import Filmed

EXAMPLES = """\b
Examples:
  mcp-llm video "waves at dusk" --seconds 6 -o waves.mp4
  mcp-llm runs resume ID      go on waiting for a film after Ctrl-C
"""


@click.command(epilog=EXAMPLES)
@click.argument("prompt", nargs=-1)
@click.option("-i", "--image", metavar="PATH|URL", help="Its first picture.")
@click.option("--reference", "references", multiple=True, metavar="PATH|URL", help="Who or what occurs; repeatable.")
@click.option("--seconds", type=click.IntRange(1), help="How long.")
@click.option("--ratio", metavar="W:H", help="Its shape, e.g. 16:9.")
@click.option("--resolution", metavar="SIZE", help="e.g. 720p.")
@click.option("-o", "--output", metavar="FILE|FOLDER|-", help="Where to; else the kept file's path is printed.")
@making.options
def command(prompt: tuple[str, ...], **given: Any) -> int:
    """Make a film; takes minutes. Ctrl-C leaves the order standing: its run can be resumed."""
    words, _ = written.prompt(prompt)
    if not words.strip():
        raise click.UsageError('nothing to film: say what (mcp-llm video "...") or pipe it in')
    config = making.load()
    image = written.files([given["image"]] if given["image"] else [], config)
    references = written.files(given["references"], config)
    run_id = making.new_id()

    async def work(service: App, call: Call) -> Filmed:
        from mcp_llm.video import Films

        call["run_id"] = run_id
        return await Films(service, service.journals).make(
            words,
            image=image[0] if image else None,
            references=references,
            seconds=given["seconds"],
            ratio=given["ratio"],
            resolution=given["resolution"],
            begun=lambda: terminal.note(f"ordered as run {run_id}", dim=True),
            stays=lambda: True,
            **call,
        )

    return making.run(given, work, lambda made: making.save(made, given["output"]), config)
