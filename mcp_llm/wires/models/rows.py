"""The rows of a vendor's model list, each for itself: one that cannot be read, or named by a caller, costs only itself.

A list comes from whoever serves it, and its words end in tables, logs and terminals. Pure.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mcp_llm.types.message import Json
    from mcp_llm.wires import base

MOST_NAME: Final = 200
"""Characters of an id, which is dropped beyond, and of a title, which is cut."""
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d[\dT:.Z+-]{0,30}")
_UNREADABLE: Final = (TypeError, LookupError, AttributeError, ValueError, OverflowError)


def read(rows: Json, one: Callable[[Any], base.ModelInfo]) -> list[base.ModelInfo]:
    """What `one` makes of each row. Raises ValueError where there are rows and not one of them can be read."""
    if not isinstance(rows, list):
        raise TypeError("a model list is a list")
    readable = list(_readable(rows, one))
    if rows and not readable:
        raise ValueError("no row of the list names a model")
    return [fit for info in readable if (fit := _fit(info)) is not None]


def count(value: Any) -> int | None:
    """Tokens, where that is what it says."""
    return value if type(value) is int and 0 < value < 1 << 53 else None


def _readable(rows: Iterable[Any], one: Callable[[Any], base.ModelInfo]) -> Iterable[base.ModelInfo]:
    for row in rows:
        try:
            yield one(row)
        except _UNREADABLE:
            continue


def _fit(info: base.ModelInfo) -> base.ModelInfo | None:
    """The same without what no program should show; None for an id that nobody could write down."""
    model_id: Any = info.id
    name: Any = info.name
    retires: Any = info.retires
    if not (isinstance(model_id, str) and model_id.strip() and len(model_id) <= MOST_NAME and model_id.isprintable()):
        return None
    name = "".join(filter(str.isprintable, name[:MOST_NAME])) if isinstance(name, str) else None
    told = retires if isinstance(retires, str) and _DAY.fullmatch(retires) else None
    return replace(info, name=name or None, retires=told, context=count(info.context), output=count(info.output))
