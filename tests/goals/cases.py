"""Runs the tests that hold cases of the corpus, in a process of their own, and counts."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Done:
    """`without` are the cases that have no test."""

    tests: int
    failed: int
    without: list[str]


def run(names: Sequence[str]) -> Done:
    """The tests of these cases, whole functions with all of their parameters."""
    rows: dict[str, list[str]] = {}
    for file in (TESTS / "abuse").glob("*.toml"):
        rows |= tomllib.loads(file.read_text(encoding="utf-8"))
    without = [name for name in names if name not in rows]
    wanted = {where.partition("[")[0] for name in names if isinstance(found := rows.get(name), list) for where in found}
    done = pytest(*sorted(str(TESTS / where) for where in wanted)) if wanted else ""
    count = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", done)}
    return Done(sum(count.values()), count.get("failed", 0) + count.get("error", 0), without)


def pytest(*arguments: str) -> str:
    """What a run of pytest says."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False).stdout
