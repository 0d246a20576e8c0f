"""Is it safe to run this regular expression on a string of this length? An upper bound of the work, proved beforehand.

Python's `re` backtracks while it holds the interpreter, so it cannot be interrupted. The bound is the number of ways in
which the pattern can split the string, times what a try reads, times the places where one can begin; what is over the
limit is not run. Pure.
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

        tree = _parser.parse(pattern)
        length = len(text) + 1
        # Look-arounds have no width of their own but read on.
        looks = any(mark in pattern for mark in ("(?=", "(?!", "(?<"))
        reach = length if looks else min(length, _width(tree) + len(pattern))
        if _ways(tree, length, last=True) * reach * _starts(tree, text, length) > _MOST_STEPS:
            return None
        return re.search(pattern, text) is not None
    except (ImportError, re.error, RecursionError, OverflowError, Warning, _Unknown):
        return None


class _Unknown(Exception):
    """A construct whose cost is not bounded here (back references, conditionals)."""


def _width(tree: Any) -> int:
    """How far a try that fails in the end can read: what a repeat at the very end takes beyond its least succeeds."""
    *front, last = tree or [None]
    if last is None:
        return 0
    before = sum(int(tree[index : index + 1].getwidth()[1]) for index in range(len(front)))
    operator, value = str(last[0]), last[1]
    if operator == "SUBPATTERN":
        return before + _width(value[3])
    if operator in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        return before + int(value[0]) * int(value[2].getwidth()[1])
    return int(tree.getwidth()[1])


def _starts(tree: Any, text: str, length: int) -> int:
    """At how many places a try can get beyond the pattern's first letters, at most."""
    if len(tree) and str(tree[0][0]) == "AT" and str(tree[0][1]) in {"AT_BEGINNING", "AT_BEGINNING_STRING"}:
        return length if tree.state.flags & re.MULTILINE else 1
    if tree.state.flags & re.IGNORECASE:
        return length
    counts = [length]
    for operator, value in tree:
        if str(operator) != "LITERAL":
            break
        counts.append(text.count(chr(value)) + 1)
    return min(counts)


def _ways(items: Any, length: int, *, last: bool = False) -> int:
    """In how many ways a sequence can match beginnings of a string, at most (cut off above the limit).

    `last` says that nothing follows it: the first way in which its own last item matches is taken, no other is tried.
    """
    total = 1
    for index, (operator, value) in enumerate(items, 1):
        ways = _item(str(operator), value, length, last=last and index == len(items))
        total = min(total * ways, _MOST_STEPS + 1)
    return total


def _item(operator: str, value: Any, length: int, *, last: bool) -> int:
    if operator in _ONE:
        return 1
    if operator == "SUBPATTERN":
        return _ways(value[3], length, last=last)
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
            return 1 if last else max(most - min(int(least), length) + 1, 1)
        if most > 22:  # each round in two ways at least: over the limit already
            return _MOST_STEPS + 1
        return sum(min(each**rounds, _MOST_STEPS + 1) for rounds in range(min(int(least), most), most + 1))
    raise _Unknown(operator)
