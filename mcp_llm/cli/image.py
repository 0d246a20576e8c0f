"""`mcp-llm image`: pictures from words, or changed ones, as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import making, written

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.llm.doing import Call
    from mcp_llm.types.image import Painted

EXAMPLES = """\b
Examples:
  mcp-llm image "a lighthouse in fog" -o lighthouse.png
  mcp-llm image "make the roof red" -i house.jpg -n 2 -o red.png
"""
QUALITIES = ("low", "medium", "high", "xhigh", "max", "auto")
FORMATS = ("png", "jpeg", "webp", "gif", "svg")


@click.command(epilog=EXAMPLES)
@click.argument("prompt", nargs=-1)
@click.option("-i", "--image", "images", multiple=True, metavar="PATH|URL", help="A picture to change; repeatable.")
@click.option("--mask", metavar="PATH", help="A picture that is transparent where to change.")
@click.option("-n", "count", type=click.IntRange(1, 10), default=1, help="How many.")
@click.option("--size", metavar="SIZE", help="1024x1024, 16:9, 2K or auto.")
@click.option("--quality", type=click.Choice(QUALITIES), help="As far as the model knows it.")
@click.option("--background", type=click.Choice(["transparent", "opaque", "auto"]), help="What is behind.")
@click.option("--format", "kind", type=click.Choice(FORMATS), help="Of the files.")
@click.option("-o", "--output", metavar="FILE|FOLDER|-", help="Where to; else the kept file's path is printed.")
@making.options
def command(prompt: tuple[str, ...], **given: Any) -> int:
    """Make pictures. Their paths go to stdout; with `-o -` the bytes do."""
    words, _ = written.prompt(prompt)
    if not words.strip():
        raise click.UsageError('nothing to paint: say what (mcp-llm image "...") or pipe it in')
    config = making.load()
    images = written.files(given["images"], config)
    mask = written.files([given["mask"]] if given["mask"] else [], config)

    async def work(service: App, call: Call) -> Painted:
        from mcp_llm.llm.image import generate_image

        return await generate_image(
            service,
            words,
            images=images,
            mask=mask[0] if mask else None,
            n=given["count"],
            size=given["size"],
            quality=given["quality"],
            background=given["background"],
            format=given["kind"],
            **call,
        )

    return making.run(given, work, lambda made: making.save(made, given["output"]), config)
