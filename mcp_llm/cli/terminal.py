"""The two streams: answers to stdout, everything else to stderr, and what must not reach a terminal made visible.

Model output is data: on a terminal its control characters could move the cursor, write the clipboard or turn words
around, so they are shown escaped. Into a pipe it goes as it came.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from .vocabulary import spoken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INTERRUPTED: Final = 130
GONE: Final = 141
TOLD: Final = "told as JSON"
"""A note on an error that stdout has as JSON already."""
_BIDI: Final = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_UNSEEN: Final = (*range(0x20), *range(0x7F, 0xA0), *_BIDI)
_ESCAPED: Final = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _UNSEEN if code not in (0x09, 0x0A)
}
_JSON_ESCAPED: Final = {code: f"\\u{code:04x}" for code in (*_UNSEEN, 0x2028, 0x2029) if code >= 0x7F}
"""The separators too: many a reader of lines takes them for an end."""


class Gone(Exception):
    """Nobody reads stdout any more. No OSError, so that no layer below takes it for a broken connection."""


class Unwritable(Gone):
    """The answer cannot be written to where it was asked for: a full disk, say. The text says why."""


def prepare() -> None:
    """No character may end the program: what the streams' encoding lacks is written as an escape.

    On Windows a pipe or a file gets UTF-8, as JSON has to be, and not the letters of the machine's country. A stream
    that was closed before us is opened on nothing, lest the next file that is opened become it: what is written to
    stdout is refused there as on a full disk, what is written to stderr is gone.
    """
    if sys.stdout is None:
        sys.stdout = os.fdopen(_nowhere(1, os.O_RDONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(_nowhere(2, os.O_WRONLY), "w", encoding="utf-8")
    encoding = "utf-8" if sys.platform == "win32" else None
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(encoding=encoding, errors="backslashreplace")


def _nowhere(descriptor: int, mode: int) -> int:
    opened = os.open(os.devnull, mode)
    if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)
    return descriptor


def is_terminal() -> bool:
    """Whether answers are read by a person."""
    return sys.stdout.isatty()


def tame(text: str) -> str:
    """The text with control characters (but newline and tab) and direction marks as visible escapes."""
    return text.translate(_ESCAPED)


def write(text: str, *, raw: bool = False) -> None:
    """Part of the answer, at once. Raises Gone when the reader has left."""
    try:
        sys.stdout.write(text if raw or not is_terminal() else tame(text))
    except OSError as error:
        raise _unwritten(error) from None
    flush()


def line(text: str = "", *, colour: str | None = None) -> None:
    """A whole line of the answer; in colour, where a terminal shows it."""
    if colour is not None and is_terminal():
        write(f"{mark(tame(text), colour)}\n", raw=True)
    else:
        write(f"{text}\n")


def dump(value: Any, *, indent: int | None = 2) -> None:
    """A JSON value as the answer; pure ASCII where the stream cannot say more."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") in {"utf8", "utf16", "utf32"}
    text = json.dumps(value, ensure_ascii=not unicode, indent=indent, default=str)
    write(f"{text.translate(_JSON_ESCAPED)}\n", raw=True)  # outside of strings JSON has none of these characters


def note(text: str, *, dim: bool = False, end: str = "\n") -> None:
    """A line for the person, on stderr. Where that cannot be written, nobody is told."""
    words = tame(text)
    with suppress(OSError):
        click.echo((click.style(words, dim=True) if dim and words else words) + end, err=True, nl=False)


def problem(text: str) -> None:
    """A line that says what went wrong, in the words of the command line."""
    note(fold(f"mcp-llm: {spoken(text)}", width(sys.stderr)))


def width(stream: TextIO) -> int | None:
    """The columns of the terminal that a stream is shown on; None where it is none."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def fold(text: str, columns: int | None, *, indent: str = "") -> str:
    """The text with its long lines broken at word ends, what follows indented; as it is where `columns` is None."""
    if columns is None:
        return text
    fill = partial(textwrap.fill, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(part if len(part) <= columns else fill(part, max(columns, 40)) for part in text.split("\n"))


def mark(word: str, colour: str) -> str:
    """A word in colour, where a terminal shows it."""
    plain = (click.get_current_context(silent=True) or click.Context(click.Command(""))).color is False
    return word if plain or not is_terminal() else click.style(word, fg=colour)


def flush() -> None:
    """Everything out. Raises Gone when the reader has left, Unwritable when it cannot be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _unwritten(error) from None


def _unwritten(error: OSError) -> Gone:
    if isinstance(error, BrokenPipeError):
        return Gone()
    return Unwritable(f"the answer cannot be written to stdout: {error.strerror or type(error).__name__}")


def hush() -> None:
    """Nobody listens: the interpreter's own flush at the end has to find a place to write to."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Columns as wide as their content; those in `right` are aligned to the right, for figures."""
    lines = [[tame(cell).replace("\n", " ") for cell in row] for row in (headers, *rows)]
    widths = [max(len(cells[index]) for cells in lines) for index in range(len(headers))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in lines
    )
