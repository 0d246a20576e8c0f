"""The ways an answer is written: as words while they come, as one JSON object, or as one JSON event a line.

Each takes the chunks, then either the result or the error; what had arrived before an error is never lost.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from mcp_llm.errors import ProviderError, SchemaMismatch
from mcp_llm.types.chat import End
from mcp_llm.types.events import VERSION
from mcp_llm.types.message import Text, Thinking
from mcp_llm.wires import sources

from . import terminal

if TYPE_CHECKING:
    from mcp_llm.llm.progress import Progress
    from mcp_llm.types.chat import Chunk
    from mcp_llm.types.result import Generated


class Sink(Protocol):
    """Where one answer goes."""

    async def take(self, chunks: list[Chunk]) -> None:
        """What arrived."""

    def finish(self, result: Generated) -> None:
        """The whole answer."""

    def fail(self, error: BaseException) -> None:
        """It broke off; called once, before the error is told to the person."""


class Words:
    """The answer to stdout as it comes; thinking, waiting and the receipt to stderr."""

    def __init__(self, *, raw: bool = False, hold: bool = False, quiet: bool = False) -> None:
        self._raw = raw
        self._hold = hold
        self._quiet = quiet
        self._text: list[str] = []
        self._thought = False
        self._waiting = False
        self._end = "\n"

    async def take(self, chunks: list[Chunk]) -> None:
        """Show the new words, unless they are held back until all are there."""
        for chunk in chunks:
            if isinstance(chunk, End):
                continue
            if isinstance(chunk.part, Text) and chunk.part.text:
                self._text.append(chunk.part.text)
                if not self._hold:
                    self._clear()
                    self._write(chunk.part.text)
            elif isinstance(chunk.part, Thinking) and chunk.part.text and not self._quiet:
                self._clear()
                self._thought = True
                terminal.note(chunk.part.text, dim=True, end="")

    def finish(self, result: Generated) -> None:
        """The end of the line, the sources, what the model wants called, the receipt."""
        self._clear()
        if self._hold:
            self._write(result.response if result.parsed is None else json.dumps(result.parsed, ensure_ascii=False))
        self._close()
        for line in () if self._quiet else sources.lines(result.citations):
            terminal.note(line)
        for call in result.tool_calls or ():
            terminal.note(f"wants {call.name}({json.dumps(call.arguments, ensure_ascii=False)})")
        for one in result.fallbacks:
            terminal.note(f"fell back: {one.provider}:{one.model} {one.error}: {one.message[:200]}")
        for words in result.warnings:
            terminal.note(f"note: {words}")
        if not self._quiet:
            terminal.note(f"[{result.receipt}]", dim=True)

    def fail(self, error: BaseException) -> None:
        """What was held back is shown all the same."""
        self._clear()
        if self._hold:
            self._write("".join(self._text) or _partial(error) or "")
        self._close()

    async def wait(self, progress: Progress) -> None:
        """Say on the terminal what is being waited for, until the first words come. Runs until it is cancelled."""
        while sys.stderr.isatty() and not self._quiet and self._silent():
            await anyio.sleep(0.5)
            if self._silent():
                self._waiting = True
                sys.stderr.write(f"\r\x1b[K{terminal.tame(progress.line())[:79]}")
                sys.stderr.flush()

    def _silent(self) -> bool:
        return not self._thought and (self._hold or not self._text)

    def _clear(self) -> None:
        if self._waiting:
            self._waiting = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._thought:
            self._thought = False
            terminal.note("")
        terminal.write(text, raw=self._raw)
        self._end = text[-1]

    def _close(self) -> None:
        if self._thought:
            terminal.note("")
        if self._end != "\n" and not self._raw:
            terminal.write("\n")
            self._end = "\n"


class Whole:
    """One JSON object: the whole result, or `{"error": {...}, "run_id"}` with what had arrived."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._text: list[str] = []

    async def take(self, chunks: list[Chunk]) -> None:
        """Nothing is shown before the end."""
        self._text += _texts(chunks)

    def finish(self, result: Generated) -> None:
        """The result; unknown is null."""
        terminal.dump(result.model_dump(mode="json"))

    def fail(self, error: BaseException) -> None:
        """The error as data."""
        terminal.dump({"error": described(error, "".join(self._text)), "run_id": self._run_id})
        error.add_note(terminal.TOLD)


class Events:
    """One JSON event a line: `start`, `thinking`, `text`, then `finish` or `error`, exactly once and last."""

    def __init__(self, run_id: str, prompt: str) -> None:
        self._run_id = run_id
        self._text: list[str] = []
        self._seq = 0
        self._emit("start", prompt=prompt)

    async def take(self, chunks: list[Chunk]) -> None:
        """One event for each piece of text or thinking."""
        for chunk in chunks:
            if isinstance(chunk, End):
                continue
            if isinstance(chunk.part, Text) and chunk.part.text:
                self._text.append(chunk.part.text)
                self._emit("text", text=chunk.part.text)
            elif isinstance(chunk.part, Thinking) and chunk.part.text:
                self._emit("thinking", summary=chunk.part.text)

    def finish(self, result: Generated) -> None:
        """The whole result, its usage and cost beside it."""
        data = result.model_dump(mode="json")
        for one in data["fallbacks"]:
            self._emit("fallback", **one)
        self._emit("finish", result=data, usage=data["usage"], cost=data["cost"])

    def fail(self, error: BaseException) -> None:
        """Why it broke off."""
        self._emit("error", **described(error, "".join(self._text)))

    def _emit(self, event: str, **more: Any) -> None:
        ts = time.time_ns() // 1_000_000
        head = {"event": event, "v": VERSION, "ts": ts, "run_id": self._run_id, "seq": self._seq}
        self._seq += 1
        terminal.dump({**head, **more}, indent=None)


def described(error: BaseException, arrived: str = "") -> dict[str, Any]:
    """An error as JSON: `{kind, error, provider?, status?, ..., partial?}`."""
    found: dict[str, Any] = {"kind": getattr(error, "kind", "cancelled"), "error": str(error)}
    if isinstance(error, ProviderError):
        names = ("provider", "model", "status", "code", "param", "request_id", "retry_after")
        found |= {name: value for name in names if (value := getattr(error, name)) is not None}
    if partial := arrived or _partial(error):
        found["partial"] = partial
    return found


def _partial(error: BaseException) -> str | None:
    return error.text if isinstance(error, SchemaMismatch) else getattr(error, "partial", None)


def _texts(chunks: list[Chunk]) -> list[str]:
    return [chunk.part.text for chunk in chunks if not isinstance(chunk, End) and isinstance(chunk.part, Text)]
