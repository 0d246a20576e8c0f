"""`mcp-llm speak`: words as a file of sound, or as sound into a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from . import making, written

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.llm.doing import Call
    from mcp_llm.types.speech import Said

EXAMPLES = """\b
Examples:
  mcp-llm speak "Good morning." -o morning.mp3
  mcp-llm speak --voice Kore < chapter.txt -o - | ffplay -nodisp -autoexit -
"""


@click.command(epilog=EXAMPLES)
@click.argument("text", nargs=-1)
@click.option("--voice", help="One of the vendor's.")
@click.option("--speaker", "speakers", multiple=True, metavar="NAME=VOICE", help="A name in the text; may be repeated.")
@click.option("--format", "kind", type=click.Choice(["mp3", "opus", "aac", "flac", "wav", "pcm"]), help="Of the file.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), help="1 is the usual one.")
@click.option("--instructions", metavar="TEXT", help="How it is spoken.")
@click.option("--language", metavar="CODE", help="What is spoken, e.g. en.")
@click.option("-o", "--output", metavar="FILE|FOLDER|-", help="Where to; else the kept file's path is printed.")
@making.options
def command(text: tuple[str, ...], **given: Any) -> int:
    """Speak TEXT, or what is piped in. With `-o -` the sound goes to stdout as it comes."""
    words, _ = written.prompt(text)
    if not words.strip():
        raise click.UsageError('nothing to speak: give a text (mcp-llm speak "...") or pipe one in')
    speakers = written.pairs(given["speakers"], decoded=False)

    async def play(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    async def work(service: App, call: Call) -> Said:
        from mcp_llm.llm.speech import speak

        return await speak(
            service,
            words,
            voice=given["voice"],
            speakers=speakers,
            format=given["kind"],
            speed=given["speed"],
            instructions=given["instructions"],
            language=given["language"],
            on_sound=play if given["output"] == "-" and not given["as_json"] else None,
            **call,
        )

    def show(made: Said) -> None:
        if given["output"] != "-":
            making.save(made, given["output"])

    return making.run(given, work, show)
