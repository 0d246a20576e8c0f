"""Globs with `*` only, case kept, no backtracking: the pieces between the stars are looked for from left to right."""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text fits; `*` stands for any characters, also none, every other character for itself."""
    first, *middle = pattern.split("*")
    if not middle:
        return pattern == text
    last = middle.pop()
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    start, end = len(first), len(text) - len(last)
    for piece in middle:
        # The leftmost place is never a worse choice than a later one: whatever follows fits behind it too.
        found = text.find(piece, start, end)
        if found < 0:
            return False
        start = found + len(piece)
    return True


def literals(pattern: str) -> int:
    """How many characters it pins down: of several globs that match, the one with the most is the closest."""
    return len(pattern) - pattern.count("*")
