"""`when`: what holds, and what is no condition."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_llm.errors import InvalidInput
from mcp_llm.workflow.condition import condition


@pytest.mark.parametrize(
    ("when", "value", "holds"),
    [
        ("${a.x}", True, True),
        ("${a.x}", 0, False),
        ("${a.x}", [], False),
        ("${a.x}", None, False),
        ("${a.x}", " True\n", True),
        ("${a.x}", "false", False),
        ("not ${a.x}", False, True),
        ("${a.x} == yes", "yes\n", True),
        ("${a.x} == 'yes'", "yes", True),
        ('${a.x} == "yes"', "no", False),
        ("${a.x} == 3", 3, True),
        ("${a.x} == 3", "3", False),
        ("${a.x} == 1", True, False),
        ("${a.x} == true", True, True),
        ("${a.x} == null", None, True),
        ("${a.x} != bad", "good", True),
        ("${a.x} >= 3", 3.5, True),
        ("${a.x} < 3", "2.5", True),
        ("${a.x} <= -1", 0, False),
        ("${a.x} > 3", 3, False),
        ("${a.x} contains yes", "Oh YES, sure", True),
        ("${a.x} contains 2", [1, 2], True),
        ("${a.x} contains b", ["a"], False),
        (True, "whatever", True),
        (False, "whatever", False),
        ("${a.x} == " + "[" * 50_000, "[" * 50_000, True),
    ],
)
def test_a_condition_holds_or_not(when: bool | str, value: Any, holds: bool) -> None:
    assert condition(when).holds(value) is holds


@pytest.mark.parametrize(
    "when", ["", "yes", "${a.x} and ${b.x}", "${a.x} ==", "== ${a.x}", "not ${a.x} == 3", "${a.x} ~ 3"]
)
def test_anything_else_is_no_condition(when: str) -> None:
    with pytest.raises(InvalidInput, match="is no condition: write"):
        condition(when)


@pytest.mark.parametrize(
    ("when", "value", "words"),
    [
        ("${a.x}", "Well, it depends.", "neither true nor false: compare it"),
        ("${a.x} < 3", "many", "compares numbers"),
        ("${a.x} contains 3", 3, "neither text nor a list"),
    ],
)
def test_what_cannot_be_said_is_an_error_and_no_guess(when: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        condition(when).holds(value)
