"""What a person writes on the command line, as the values the rest understands: prompts, files, key=value, outputs."""

from __future__ import annotations

import json
import os
import shlex
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from . import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.config import Config
    from mcp_llm.settings import Server

MOST: Final = 64 * 1024 * 1024
"""Bytes of stdin that are read; more is refused."""
HINT: Final = 3.0
"""Seconds after which a silent stdin is mentioned: a pipe that nobody closes looks like a hang."""


def prompt(words: Sequence[str]) -> tuple[str, list[bytes]]:
    """(text, attachments): the words, then what stdin holds where it is no terminal; `-` alone is stdin only.

    Bytes that are no text become an attachment, so a picture can be piped in.
    """
    only_stdin = tuple(words) == ("-",)
    said = "" if only_stdin else " ".join(_plain(word) for word in words)
    piped = b"" if sys.stdin is None or (sys.stdin.isatty() and not only_stdin) else _read()
    if not piped.strip():
        return said, []
    try:
        text = piped.decode("utf-8-sig")
    except UnicodeDecodeError:
        return said, [piped]
    return (f"{said}\n\n{text}" if said.strip() else text), []


def possible(output: Path | None) -> None:
    """Raise BadParameter where a file cannot be written for want of its folder: before anything is paid for."""
    if output is not None and not output.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {os.fspath(output.parent)!r}", param_hint="--output")


def kept(output: Path | None, data: bytes, otherwise: str) -> bool:
    """Write the file that was asked for, if any; False where that fails, told with where else the data is."""
    if output is None:
        return True
    try:
        output.write_bytes(data)
    except OSError as exc:
        terminal.problem(f"{output} cannot be written ({exc.strerror}); {otherwise}")
        return False
    return True


def _plain(word: str) -> str:
    """The word as the bytes it was, read as UTF-8: a C locale gives lone surrogates."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _read() -> bytes:
    hint = threading.Timer(HINT, terminal.problem, ("waiting for the end of stdin; give it </dev/null if none comes",))
    hint.daemon = True
    hint.start()
    try:
        data = sys.stdin.buffer.read(MOST + 1)
    finally:
        hint.cancel()
    if len(data) > MOST:
        raise click.UsageError(f"stdin holds more than {MOST // 1024 // 1024} MiB; attach less")
    return data


def schema(value: str | None) -> dict[str, Any] | None:
    """A JSON Schema from its text or from a file's name."""
    if value is None:
        return None
    text = value
    if not value.lstrip().startswith("{"):
        try:
            text = Path(value).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as exc:
            raise click.BadParameter(f"{value!r} is neither JSON nor a file that can be read") from exc
    try:
        found = json.loads(text)
    except ValueError as exc:
        raise click.BadParameter(f"not valid JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise click.BadParameter("a JSON Schema has to be an object")
    return found


def pairs(values: Sequence[str], *, decoded: bool) -> dict[str, Any]:
    """`key=value` pairs; with `decoded` a value that is JSON counts as such, else all are text."""
    found: dict[str, Any] = {}
    for pair in values:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{pair!r} is not key=value")
        found[name.strip()] = _json(value) if decoded else value
    return found


def servers(values: Sequence[str]) -> dict[str, Server]:
    """MCP servers as `NAME=COMMAND ARGS` or `NAME=URL`; the shell is the user's own, so here a command is welcome."""
    from pydantic import ValidationError

    from mcp_llm.settings import Server

    found: dict[str, Server] = {}
    for name, value in pairs(values, decoded=False).items():
        try:
            words = shlex.split(value, posix=sys.platform != "win32")
        except ValueError as exc:
            raise click.BadParameter(f"{value!r} is no command line: {exc}") from exc
        if not words:
            raise click.BadParameter(f"{name}= needs a command line or a URL after it")
        url = len(words) == 1 and words[0].startswith(("http://", "https://"))
        try:
            found[name] = Server(url=words[0]) if url else Server(command=words[0], args=tuple(words[1:]))
        except ValidationError as exc:
            raise click.BadParameter(f"{name}: {exc.errors()[0]['msg']}") from exc
    return found


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def files(names: Sequence[str], config: Config) -> list[Any]:
    """Attachments by path or URL. Whoever types a path means it, so its folder is allowed for this process."""
    found: list[Any] = []
    folders: list[str] = []
    for name in names:
        if "://" in name or name[:5].lower() == "data:":
            found.append(name)
            continue
        path = Path(name).expanduser().resolve()
        if not path.is_file():
            other = "is a folder" if path.is_dir() else "is no regular file: save it as one first"
            raise click.BadParameter(f"{name!r} {other}" if Path(name).exists() else f"there is no file {name!r}")
        folders.append(os.fspath(path.parent))
        found.append(path)
    settings = config.settings
    roots = (*settings.files.roots, *folders)
    config.settings = settings.model_copy(update={"files": settings.files.model_copy(update={"roots": roots})})
    return found
