"""What a pure function gave for a message, a tool or the like, kept for as long as that lives.

A conversation goes out again whole with every turn, and only its end is new. Values are known by identity, because
comparing two messages costs as much as spelling one.
"""

from __future__ import annotations

from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, TypeVar
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Callable

V = TypeVar("V")
C = TypeVar("C")
T = TypeVar("T")


def remembered(function: Callable[[V, C], T]) -> Callable[[V, C], T]:
    """The function, whose last result for each value is kept; what it gives is not to be changed, nor may it hold the
    value itself, which would then live for ever.

    `C` is what else the result depends on: it is kept too, and with another one the function is asked anew.
    """
    kept: dict[int, tuple[ref[V], C, T]] = {}

    @wraps(function)
    def recall(value: V, context: C) -> T:
        key = id(value)
        found = kept.get(key)
        if found is not None and found[0]() is value and (found[1] is context or found[1] == context):
            return found[2]
        result = function(value, context)
        with suppress(TypeError):  # what no reference can be held to is asked anew each time
            kept[key] = (ref(value, lambda _: kept.pop(key, None)), context, result)
        return result

    return recall
