"""The corpus of abuse cases beside the repository, read a line at a time; it is data and nothing here judges.

`cases()` gives the lines, `expand()` the values of their small language: `$repeat`, `$b64`, `$float`, `$nest`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "facts" / "abuse_cases.jsonl"
NO_CORPUS = "the corpus of abuse cases (../shared/facts) is not beside the repository"


@dataclass(frozen=True)
class Case:
    """One line: what is done, where, and in words what has to come of it."""

    id: str
    surface: str
    expected: str
    input: Any = None
    fault: Any = None


@cache
def cases() -> dict[str, Case]:
    """Every line by its id; none where the corpus is not there."""
    if not CORPUS.is_file():
        return {}
    lines = (json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines())
    return {line["id"]: Case(**line) for line in lines}


def case(name: str) -> Case:
    """The line of that id; the test is skipped where there is no corpus."""
    if not (found := cases()):
        pytest.skip(NO_CORPUS)
    return found[name]


def expand(value: Any) -> Any:
    """A value with its `$repeat` [what, times], `$nest` [around `$INNER`, times], `$b64` and `$float` carried out."""
    if isinstance(value, list):
        return [expand(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$repeat": [what, int(times)]}:
            repeated = expand(what)  # a list of what is no text
            return (repeated if isinstance(repeated, str | list) else [repeated]) * times
        case {"$nest": [what, int(times)]}:
            nested: Any = {}
            for _ in range(times):
                nested = _filled(what, nested)
            return nested
        case {"$b64": str(text)}:
            return base64.b64decode(text)
        case {"$float": str(text)}:
            return float(text)
    return {name: expand(item) for name, item in value.items()}


def _filled(value: Any, inner: Any) -> Any:
    if value == "$INNER":
        return inner
    if isinstance(value, list):
        return [_filled(item, inner) for item in value]
    return {name: _filled(item, inner) for name, item in value.items()} if isinstance(value, dict) else value
