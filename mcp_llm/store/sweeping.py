"""What goes from the artifacts folder: the old, the oldest of too many bytes, and what a killed process left half made.

Only names that `artifacts.py` gives are ever touched. Blocks: call it in a worker thread.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import os
    from collections.abc import Container
    from pathlib import Path

FRESH_S: Final = 3600.0
"""Seconds for which nothing goes for want of room, and nothing is taken for left behind: it may be under way."""
_HALF: Final = re.compile(r"\.[0-9a-f]{16}")
_NAME: Final = re.compile(r"([0-9a-f]{64})\.(?:([0-9a-f]{16})\.json|[a-z0-9]{1,5})")


@dataclass(slots=True)
class _Made:
    """The files of one hash: the bytes themselves and a record for each principal; `at` is the newest's time."""

    files: list[Path] = field(default_factory=list)
    size: int = 0
    at: float = 0.0
    known: bool = False


def sweep(folder: Path, before: float, most: int | None, spared: Container[str]) -> tuple[int, int]:
    """(artifacts, bytes) that went: those made before an epoch second, then the oldest until no more than `most` bytes.

    Hashes in `spared` stay. A file that cannot be removed stays and is tried again the next time.
    """
    made, now = _found(folder), time.time()
    total = sum(one.size for one in made.values())
    count = freed = 0
    for name, one in sorted(made.items(), key=lambda pair: pair[1].at):
        old = one.at < before or (not one.known and one.at < now - FRESH_S)
        crowded = most is not None and total - freed > most and one.at < now - FRESH_S
        if (old or crowded) and name not in spared and _removed(one):
            count, freed = count + 1, freed + one.size
    return count, freed


def _found(folder: Path) -> dict[str, _Made]:
    made: dict[str, _Made] = {}
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            with contextlib.suppress(OSError):  # it goes this moment
                found = path.lstat()
                if _HALF.fullmatch(path.name):
                    _leave_no_half(path, found)
                elif (named := _NAME.fullmatch(path.name)) is not None:
                    one = made.setdefault(named[1], _Made())
                    one.files.append(path)
                    one.size += found.st_size
                    one.at = max(one.at, found.st_mtime)
                    one.known = one.known or named[2] is not None
    return made


def _leave_no_half(path: Path, found: os.stat_result) -> None:
    if found.st_mtime < time.time() - FRESH_S:
        path.unlink()


def _removed(one: _Made) -> bool:
    """Records first: what is cut off here is bytes that nobody knows of, which go the next time."""
    try:
        for path in sorted(one.files, key=lambda path: path.suffix != ".json"):
            if path.lstat().st_mtime > one.at:  # somebody makes the same again just now
                return False
            path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
