"""`mcp-llm talk`: a conversation with a model that hears and speaks, by files, words or the microphone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from . import running, terminal, written

if TYPE_CHECKING:
    from mcp_llm.llm.realtime import Session, Turn
    from mcp_llm.llm.service import Service

EXAMPLES: Final = """\b
Examples:
  mcp-llm talk "Good morning" -o answer.wav
  mcp-llm talk --in question.wav -o answer.wav
  mcp-llm talk --mic
"""
PIECE_S: Final = 0.1
"""Seconds of sound in a piece."""


@click.command(epilog=EXAMPLES)
@click.argument("words", nargs=-1)
@click.option("-m", "--model", help="provider:model, or a model's id.")
@click.option("--in", "source", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="What you say: WAV.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="What it says: a WAV file.")
@click.option("--mic", is_flag=True, help="Talk and listen; needs the package sounddevice. Ctrl-C ends it.")
@click.option("--text", "silent", is_flag=True, help="Answers in text only.")
@click.option("-s", "--instructions", metavar="TEXT", help="The system's words.")
@click.option("--voice", help="One of the vendor's.")
@click.option("--language", metavar="CODE", help="What is spoken, e.g. en.")
@click.option("--server", "servers", multiple=True, metavar="NAME", help="A configured MCP server; may be repeated.")
@click.option("--budget-usd", type=click.FloatRange(0), help="The most this may cost.")
@click.option("-q", "--quiet", is_flag=True, help="No receipt.")
def command(words: tuple[str, ...], **given: Any) -> int:
    """Say WORDS, or what a file holds, and get the answer: its words on stdout, its voice in a file.

    Without WORDS, --in or --mic every line of stdin is a turn of the same conversation.
    """
    if sum((bool(words), given["source"] is not None, given["mic"])) > 1:
        raise click.UsageError("words, --in and --mic exclude one another")
    written.possible(given["output"])
    config = running.load()

    async def work(service: Service) -> bool:
        from mcp_llm.talking import realtime

        talk = realtime(
            given["model"],
            instructions=given["instructions"],
            voice=given["voice"],
            speak=not given["silent"],
            listen=given["mic"],
            language=given["language"],
            servers=given["servers"],
            approve=_asked,
            budget_usd=given["budget_usd"],
            service=service,
        )
        async with talk as session:
            for note in session.warnings:
                terminal.note(f"note: {note}")
            if given["mic"]:
                from .microphone import talk as listen

                await listen(session)
                kept = True
            else:
                kept = await _turns(session, words, given)
            if not given["quiet"]:
                _receipt(session)
        return kept

    try:
        return 0 if running.run(work, config) else 1
    except running.Interrupted as exc:
        return 0 if given["mic"] else exc.code


async def _turns(session: Session, words: tuple[str, ...], given: dict[str, Any]) -> bool:
    """Talk; whether what was said could be kept where it was to be."""
    sounds: list[tuple[bytes, int]] = []
    if given["source"] is not None:
        await _play(session, given["source"])
        _show(await session.turn(), sounds)
    elif words:
        await session.say(" ".join(words))
        _show(await session.turn(), sounds)
    else:
        import anyio.to_thread

        while line := await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            if line.strip():
                await session.say(line.strip())
                _show(await session.turn(), sounds)
    if given["output"] is None or not sounds:
        return True
    from mcp_llm.files import sound

    data = sound.wav(b"".join(data for data, _ in sounds), sounds[0][1])
    return written.kept(given["output"], data, "its words are above, its voice is lost")


async def _play(session: Session, path: Path) -> None:
    """What the file holds, as fast as it is taken."""
    import anyio

    from mcp_llm.files import sound

    data = await sound.samples(await anyio.Path(path).read_bytes(), session.rate_in)
    step = int(session.rate_in * PIECE_S) * 2
    for start in range(0, len(data), step):
        await session.hear(data[start : start + step])
    await session.over()


def _show(turn: Turn, sounds: list[tuple[bytes, int]]) -> None:
    if turn.heard:
        terminal.note(f"heard: {turn.heard}", dim=True)
    terminal.line(turn.text.strip())
    if turn.sound and turn.rate:
        sounds.append((turn.sound, turn.rate))


def _receipt(session: Session) -> None:
    from mcp_llm.types.result import dollars

    usage = session.usage
    counts = " / ".join("?" if count is None else f"{count:,}" for count in (usage.input, usage.output))
    cost = "cost unknown" if session.usd is None else dollars(session.usd) if session.usd else "free"
    terminal.note(f"[{session.target.name} · {counts} tokens in / out · {cost}]", dim=True)


async def _asked(tool: str, arguments: dict[str, Any]) -> bool:
    """The answer of the person at the terminal; no where there is none."""
    import json

    if sys.stdin is None or not sys.stdin.isatty():
        return False
    import anyio.to_thread

    terminal.note(f"May {tool} be called with {json.dumps(arguments, ensure_ascii=False)}? [y/n] ", end="")
    said = await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    return said.strip().lower() in {"y", "yes"}
