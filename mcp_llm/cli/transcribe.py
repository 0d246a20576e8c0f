"""`mcp-llm transcribe`: a recording as words, subtitles or JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from mcp_llm.errors import Error

from . import making, terminal, written

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.llm.doing import Call
    from mcp_llm.types.transcribe import Segment, Timestamps, Transcribed

EXAMPLES = """\b
Examples:
  mcp-llm transcribe meeting.m4a --language en
  mcp-llm transcribe talk.wav --timestamps segment --srt > talk.srt
"""


@click.command(epilog=EXAMPLES)
@click.argument("file")
@click.option("--language", metavar="CODE", help="What is spoken, e.g. en.")
@click.option("--prompt", metavar="TEXT", help="Names and words that occur.")
@click.option("--timestamps", type=click.Choice(["segment", "word"]), help="Ask for times.")
@click.option("--diarize", is_flag=True, default=None, help="Tell speakers apart.")
@click.option("--translate", is_flag=True, default=None, help="Write English.")
@click.option("--srt", is_flag=True, help="As subtitles; asks for times of segments.")
@making.options
def command(file: str, **given: Any) -> int:
    """Write down what is said in FILE (`-` is stdin). The words go to stdout as they come."""
    config = making.load()
    source = sys.stdin.buffer.read() if file == "-" else written.files([file], config)[0]
    times: Timestamps | None = given["timestamps"] or ("segment" if given["srt"] else None)
    live = not (given["as_json"] or given["srt"])
    shown: list[str] = []

    async def say(words: str) -> None:
        shown.append(words)
        terminal.write(words)

    async def work(service: App, call: Call) -> Transcribed:
        from mcp_llm.llm.transcribe import transcribe

        try:
            return await transcribe(
                service,
                source,
                language=given["language"],
                prompt=given["prompt"],
                timestamps=times,
                diarize=given["diarize"],
                translate=given["translate"],
                on_text=say if live else None,
                **call,
            )
        except Error as exc:
            if live and exc.partial and not shown:
                terminal.line(exc.partial)  # it is paid for
            raise

    def show(result: Transcribed) -> None:
        if given["srt"]:
            terminal.write(_srt(result.segments or result.words))
        elif shown:
            terminal.write("" if shown[-1].endswith("\n") else "\n")
        else:
            terminal.line(result.response)
        if not given["quiet"]:
            for one in result.segments if times and not given["srt"] else ():
                who = f" {one.speaker}:" if one.speaker else ""
                terminal.note(f"{_clock(one.start)} - {_clock(one.end)}{who} {one.text.strip()}")

    return making.run(given, work, show, config)


def _srt(segments: tuple[Segment, ...]) -> str:
    if not segments or any(one.start is None or one.end is None for one in segments):
        raise click.ClickException("this model gave no times, which subtitles need; ask another with -m")
    blocks = [
        f"{number}\n{_clock(one.start, ',')} --> {_clock(one.end, ',')}\n"
        f"{f'{one.speaker}: ' if one.speaker else ''}{one.text.strip()}\n"
        for number, one in enumerate(segments, 1)
    ]
    return "\n".join(blocks)


def _clock(seconds: float | None, point: str = ".") -> str:
    if seconds is None:
        return "?"
    thousandths = round(seconds * 1000)
    hours, rest = divmod(thousandths, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    whole, part = divmod(rest, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{part:03}"
