"""The results of a batch as a file of JSON lines: each written whole the moment it is there, so a kill loses none.

The file is the batch's memory: opened again, it says which items are answered. One process writes it at a time.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from mcp_llm.errors import InvalidInput, StoreError
from mcp_llm.files.alone import alone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGINS: Final = b'{"id": '
"""How each line begins, and so what a kill has cut: anything else is somebody's own and stays."""


class Results:
    """An open results file; `done` are the ids that have an answer."""

    def __init__(self, descriptor: int, done: set[str]) -> None:
        self._descriptor = descriptor
        self.done = done

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Take up the file, or begin it. Failed items and a line that a kill has cut are taken out: they come again.

        A link stays one: it is the file behind it that is written. Raises Conflict when another process writes it,
        InvalidInput when it is no results file, StoreError where the disk fails.
        """
        if path.exists() and not path.is_file():
            raise InvalidInput(f"{path.name} is no file that can be gone on with: give one, or none for stdout")
        path = path.resolve()
        with alone(path):
            with _told():
                kept, done = _answered(path)
                _replace(path, kept)
                descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
            try:
                yield cls(descriptor, done)
                with _told():
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def append(self, record: dict[str, Any]) -> None:
        """One line, in one write. Raises StoreError where the disk fails, with nothing half written left behind."""
        line = json.dumps(record, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"
        with _told():
            size = os.fstat(self._descriptor).st_size
            written = os.write(self._descriptor, line)
            if written != len(line):
                os.ftruncate(self._descriptor, size)
                raise OSError(errno.ENOSPC, "the disk took only a part of a line: it is full")
        if record.get("status") == "ok":
            self.done.add(str(record["id"]))


@contextmanager
def _told() -> Iterator[None]:
    """What the disk has against it, as an error of ours."""
    try:
        yield
    except OSError as exc:
        words = exc.strerror or type(exc).__name__
        raise StoreError(f"the results file cannot be written ({words}): what is in it is whole") from None


def _answered(path: Path) -> tuple[list[bytes], set[str]]:
    kept: list[bytes] = []
    done: set[str] = set()
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return kept, done
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            status, name = record["status"], str(record["id"])
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            if number == len(lines) and isinstance(exc, ValueError) and line[: len(BEGINS)] == BEGINS[: len(line)]:
                continue  # what a kill has cut
            raise InvalidInput(
                f"line {number} of {path.name} is no result of a batch: give another file, none is overwritten"
            ) from None
        if status == "ok" and name not in done:
            kept.append(line)
            done.add(name)
    return kept, done


def _replace(path: Path, lines: list[bytes]) -> None:
    """The file with these lines, all or nothing; its mode stays, a new one is for its owner alone."""
    beside = path.with_name(f".{path.name}.new")  # ours alone, as the lock is: a kill may have left it
    beside.unlink(missing_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.writelines(line + b"\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except FileNotFoundError:
        raise InvalidInput(f"there is no folder for {path.name}: make it first") from None
    finally:
        beside.unlink(missing_ok=True)
