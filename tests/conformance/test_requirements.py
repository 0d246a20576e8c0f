"""The project's own list of what the specification demands: every row is held by a test that exists."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

TESTS: Final = Path(__file__).parents[1]
ROWS: Final[list[dict[str, Any]]] = tomllib.loads(
    Path(__file__).with_name("requirements.toml").read_text(encoding="utf-8")
)["requirement"]
VERSIONS: Final = {"2026-07-28", "2025-11-25"}


@cache
def functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['side']}, {row['at']}: {row['text'][:60]}")
def test_every_requirement_is_held_by_tests_that_exist(row: dict[str, Any]) -> None:
    assert row.keys() == {"versions", "at", "side", "text", "tests"}
    assert set(row["versions"]) <= VERSIONS
    assert row["versions"]
    assert row["side"] in {"server", "client"}
    assert row["tests"]
    for test in row["tests"]:
        if test.startswith("suite:"):
            assert test.startswith(f"suite:{row['side']}/")
            continue
        file, _, name = test.partition("::")
        assert name.startswith("test_")
        assert name in functions(TESTS / file), f"{test} does not exist"


def test_no_requirement_is_written_twice() -> None:
    told = [(row["side"], row["text"]) for row in ROWS]
    assert len(set(told)) == len(told)
