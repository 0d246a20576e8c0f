"""Is it safe to run this regular expression on a string of this length? An upper bound of the work, proved beforehand.

Python's `re` backtracks while it holds the interpreter, so it cannot be interrupted. The bound is the number of ways in
which the pattern can split the string, times its length; what is over the limit is not run. Pure.
"""

from __future__ import annotations

import re
from typing import Any

_MOST_STEPS = 4_000_000
"""About 50 ms."""
_MOST_LETTERS = 1000
_ONE = frozenset({"LITERAL", "NOT_LITERAL", "IN", "ANY", "AT", "RANGE", "CATEGORY"})


def matches(pattern: str, text: str) -> bool | None:
    """Whether the pattern is found in the text; None when that cannot be said cheaply (or is not Python's syntax)."""
    if len(pattern) > _MOST_LETTERS:
        return None
    try:
        from re import _parser  # type: ignore[attr-defined]  # the only way to read a pattern without running it

        tree = list(_parser.parse(pattern))
        anchored = bool(tree) and str(tree[0][0]) == "AT" and str(tree[0][1]) in {"AT_BEGINNING", "AT_BEGINNING_STRING"}
        length = len(text) + 1
        if _ways(tree, length) * length * (1 if anchored else length) > _MOST_STEPS:
            return None
        return re.search(pattern, text) is not None
    except (ImportError, re.error, RecursionError, OverflowError, _Unknown):
        return None


class _Unknown(Exception):
    """A construct whose cost is not bounded here (back references, conditionals)."""


def _ways(items: Any, length: int) -> int:
    """In how many ways a sequence can match beginnings of a string, at most (cut off above the limit)."""
    total = 1
    for operator, value in items:
        total = min(total * _item(str(operator), value, length), _MOST_STEPS + 1)
    return total


def _item(operator: str, value: Any, length: int) -> int:
    if operator in _ONE:
        return 1
    if operator == "SUBPATTERN":
        return _ways(value[3], length)
    if operator == "ATOMIC_GROUP":
        return _ways(value, length)
    if operator == "BRANCH":
        return sum(_ways(branch, length) for branch in value[1])
    if operator in {"ASSERT", "ASSERT_NOT"}:
        return _ways(value[1], length)
    if operator in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        least, most, inner = value
        most = min(int(most), length)
        each: int = _ways(inner, length)
        if each == 1:
            return max(most - min(int(least), length) + 1, 1)
        if most > 22:  # each round in two ways at least: over the limit already
            return _MOST_STEPS + 1
        return sum(min(each**rounds, _MOST_STEPS + 1) for rounds in range(min(int(least), most), most + 1))
    raise _Unknown(operator)
