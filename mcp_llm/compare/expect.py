"""Exact checks of an answer: equals, contains, regex, JSON Schema, number within a tolerance; all that are named hold.

Text is compared as it is written, surrounding white space aside. What cannot be checked is not counted as failed.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput, SchemaMismatch
from mcp_llm.llm.structured import parse
from mcp_llm.schemas import patterns
from mcp_llm.schemas.usable import check_schema
from mcp_llm.schemas.validator import validate

from .result import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES: Final = ("equals", "contains", "regex", "json_schema", "number", "tolerance")
_NUMBER: Final = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an answer has to be. `None` in a field: not asked for."""

    equals: Any = None
    contains: tuple[str, ...] = ()
    regex: str | None = None
    json_schema: dict[str, Any] | None = None
    number: float | None = None
    tolerance: float = 0.0


def expectations(value: Any, prompts: int) -> list[Expectation | None]:
    """One for each prompt: from one for all or a list, each text (equals), a number, or `{equals, contains, ...}`."""
    if value is None:
        return [None] * prompts
    if not isinstance(value, list | tuple):
        return [_one(value, "expect")] * prompts
    if len(value) != prompts:
        raise InvalidInput(f"`expect` lists {len(value)} expectations for {prompts} prompt(s): give one for each")
    return [None if one is None else _one(one, f"expect[{index}]") for index, one in enumerate(value)]


def _one(value: Any, place: str) -> Expectation:
    if isinstance(value, bool):
        return Expectation(equals=value)
    if isinstance(value, int | float):
        return Expectation(number=_finite(value, place))
    if isinstance(value, str):
        return Expectation(equals=value)
    if not isinstance(value, dict):
        raise InvalidInput(f"`{place}` has to be text, a number, or an object of {', '.join(NAMES)}")
    if unknown := sorted(value.keys() - set(NAMES)):
        raise InvalidInput(f"`{place}` has no `{str(unknown[0])[:40]}`; there are {', '.join(NAMES)}")
    if not value.keys() - {"tolerance"}:
        raise InvalidInput(f"`{place}` expects nothing: name one of {', '.join(NAMES[:-1])}")
    contains = value.get("contains", ())
    contains = (contains,) if isinstance(contains, str) else contains
    if not isinstance(contains, list | tuple) or not all(isinstance(one, str) for one in contains):
        raise InvalidInput(f"`{place}.contains` has to be text or a list of texts")
    regex = value.get("regex")
    if regex is not None:
        try:
            re.compile(regex)
        except (re.error, TypeError, OverflowError, RecursionError) as exc:
            raise InvalidInput(f"`{place}.regex` is no regular expression: {str(exc)[:200]}") from None
    schema = value.get("json_schema")
    if schema is not None:
        check_schema(schema, f"{place}.json_schema")
    number = value.get("number")
    tolerance = _finite(value.get("tolerance", 0.0), f"{place}.tolerance")
    if tolerance < 0:
        raise InvalidInput(f"`{place}.tolerance` is negative")
    return Expectation(
        equals=value.get("equals"),
        contains=tuple(contains),
        regex=regex,
        json_schema=schema,
        number=None if number is None else _finite(number, f"{place}.number"),
        tolerance=tolerance,
    )


def _finite(value: Any, place: str) -> float:
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            number = float(value)
    if not math.isfinite(number):
        raise InvalidInput(f"`{place}` has to be a number")
    return number


def check(wanted: Expectation, text: str, parsed: Any = None) -> Check:
    """Hold an answer against what is wanted; `parsed` is its JSON value where that was asked for. Takes <= 1 s."""
    failed: list[str] = []
    unchecked: list[str] = []
    if wanted.equals is not None and not _equal(wanted.equals, text, parsed):
        failed.append(f"is not {_short(wanted.equals)}")
    failed += [f"lacks {_short(piece)}" for piece in wanted.contains if piece not in text]
    if wanted.regex is not None:
        found = patterns.matches(wanted.regex, text)
        if found is None:
            unchecked.append("regex: the pattern may be too slow for an answer of this length; anchor or bound it")
        elif not found:
            failed.append(f"does not match {_short(wanted.regex)}")
    if wanted.json_schema is not None:
        value = _json(text) if parsed is None else (parsed,)
        if value is None:
            failed.append("is not JSON")
        else:
            failed += [f"JSON: {words}" for words in validate(value[0], wanted.json_schema, unchecked)[:3]]
    if wanted.number is not None:
        number = last_number(text) if not isinstance(parsed, int | float) or isinstance(parsed, bool) else parsed
        if number is None:
            failed.append("has no number")
        elif abs(number - wanted.number) > wanted.tolerance + 1e-12 * abs(wanted.number):
            around = f" within {wanted.tolerance:g}" if wanted.tolerance else ""
            failed.append(f"gives {number:g}, not {wanted.number:g}{around}")
    return Check(
        passed=False if failed else None if unchecked else True, failed=tuple(failed), unchecked=tuple(unchecked)
    )


def _equal(wanted: Any, text: str, parsed: Any) -> bool:
    if isinstance(wanted, str):
        return text.strip() == wanted.strip()
    value = _json(text) if parsed is None else (parsed,)
    return value is not None and same_json(value[0], wanted)


def _json(text: str) -> tuple[Any] | None:
    try:
        return (parse(text),)
    except SchemaMismatch:
        return None


def same_json(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal: numbers by value, objects whatever the order of their keys, true is not 1."""
    todo = [(a, b)]
    while todo:
        one, other = todo.pop()
        if isinstance(one, bool) or isinstance(other, bool):
            if one is not other:
                return False
        elif isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            todo += [(value, other[key]) for key, value in one.items()]
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            todo += zip(one, other, strict=True)
        elif one != other:
            return False
    return True


def last_number(text: str) -> float | None:
    """The last number in a text, where answers to sums have it; thousands may be separated by commas."""
    found = _NUMBER.findall(text)
    if not found:
        return None
    value = float(found[-1].replace(",", ""))
    return value if math.isfinite(value) else None


def passes(checks: Sequence[Check | None]) -> float | None:
    """The share of a model's answers to one prompt that passed; None where none could be checked."""
    known = [one.passed for one in checks if one is not None and one.passed is not None]
    return sum(known) / len(known) if known else None


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
