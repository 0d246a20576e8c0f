"""`when`: one reference, true or false as it is, or compared with one literal. Pure; there is no expression language.

`${a.parsed.ok}`, `not ${a.parsed.ok}`, `${a.response} == yes`, `!=`, `<`, `<=`, `>`, `>=`, `contains`. The right side
is JSON, or else the text as it stands. An answer in words is neither true nor false: it has to be compared.
"""

from __future__ import annotations

import json
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput

from .template import Reference, scan

if TYPE_CHECKING:
    from collections.abc import Callable

_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_COMPARED: Final = ("==", "!=", *_ORDER, "contains")
_SPOKEN: Final = {"true": True, "false": False, "": False}


@dataclass(frozen=True, slots=True)
class Condition:
    """What a `when` says. `reference` None: it is always `wanted`."""

    reference: Reference | None
    comparison: str | None = None
    literal: Any = None
    wanted: bool = True

    def holds(self, value: Any) -> bool:
        """Whether it is so for the reference's value. Raises InvalidInput where that cannot be said."""
        return self._is(value) is self.wanted

    def _is(self, value: Any) -> bool:
        if self.reference is None:
            return True
        if self.comparison is None:
            return _truth(self.reference, value)
        if self.comparison in {"==", "!="}:
            return _same(value, self.literal) is (self.comparison == "==")
        if self.comparison == "contains":
            if isinstance(value, str):
                return str(self.literal).lower() in value.lower()
            if isinstance(value, list | dict):
                return any(_same(one, self.literal) for one in value)
            raise InvalidInput(f"`when`: {self.reference} is neither text nor a list, so it contains nothing")
        left, right = _number(value), _number(self.literal)
        if left is None or right is None:
            raise InvalidInput(f"`when`: {self.reference} {self.comparison} compares numbers; one of them is none")
        return _ORDER[self.comparison](left, right)


def condition(when: bool | str) -> Condition:
    """Read it. Raises InvalidInput, UnknownReference."""
    if isinstance(when, bool):
        return Condition(None, wanted=when)
    pieces = [piece if isinstance(piece, Reference) else piece.strip() for piece in scan(when)]
    wanted = pieces[:1] != ["not"]
    match [piece for piece in pieces[0 if wanted else 1 :] if piece != ""]:
        case [Reference() as reference]:
            return Condition(reference, wanted=wanted)
        case [Reference() as reference, str(rest)] if wanted:
            for name in _COMPARED:
                if rest.startswith(name) and (literal := rest.removeprefix(name).strip()):
                    return Condition(reference, name, _literal(literal))
    raise InvalidInput(
        f"`when: {when[:80]}` is no condition: write ${{task.field}}, not ${{task.field}}, or ${{task.field}} == value "
        f"({', '.join(_COMPARED[1:])} are there too)"
    )


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip("'")


def _same(value: Any, literal: Any) -> bool:
    """Equal as JSON; a text from a model is compared without its outer white space."""
    if isinstance(value, bool) or isinstance(literal, bool):
        return value is literal
    return bool((value.strip() if isinstance(value, str) else value) == literal)


def _truth(reference: Reference, value: Any) -> bool:
    if not isinstance(value, str):
        return bool(value)
    if (spoken := _SPOKEN.get(value.strip().lower())) is None:
        raise InvalidInput(f"`when`: {reference} is words, neither true nor false: compare it, e.g. `contains yes`")
    return spoken


def _number(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None
