"""Which name was probably meant: the nearest of those there are, however many and however long they are.

Comparing two names takes time by the product of their lengths; of many, those are compared that share pieces. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

MOST_NAME: Final = 128
"""Characters of the name that are compared."""
MOST_COMPARED: Final = 100
_PIECES: Final = 16
_PIECE: Final = 3


def nearest(name: str, known: Collection[str], *, most: int = 1, likeness: float = 0.6) -> list[str]:
    """At most so many of the known names, the nearest first; empty where none has that likeness, 0 to 1."""
    from difflib import get_close_matches  # where somebody mistyped; most processes end without it

    name = name[:MOST_NAME]
    candidates = known if len(known) <= MOST_COMPARED else _alike(name, known)
    return get_close_matches(name, candidates, n=most, cutoff=likeness)


def _alike(name: str, known: Collection[str]) -> list[str]:
    """Those that hold the most pieces of the name, of these the ones of nearly its length."""
    from heapq import nlargest

    starts = range(0, max(len(name) - _PIECE + 1, 1), len(name) // _PIECES + 1)
    pieces = {name[start : start + _PIECE] for start in starts}

    def likeness(one: str) -> tuple[int, int]:
        return sum(map(one.__contains__, pieces)), -abs(len(one) - len(name))

    return nlargest(MOST_COMPARED, known, key=likeness)
