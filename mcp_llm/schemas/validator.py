"""Does a value fit a JSON Schema? Time is counted, and a pattern is run only where it is proved to be cheap.

The value and the schema may both be hostile; what is not checked for that reason is told as a warning. `format` is an
annotation here, as the specification has it by default.
"""

from __future__ import annotations

import json
import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from . import evaluated, patterns, surely

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_llm.types.message import Json

VALIDATE_SECONDS = 0.2
_MOST_ERRORS = 20
_MOST_RULES = 150
"""Rules within rules."""
_MARGIN = 200
"""Frames that are left free."""


@dataclass(slots=True)
class Checked:
    """`errors` empty: the value fits as far as it was checked; `warnings` say what was not checked."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class _OutOfTime(Exception):
    """The validator has used its time."""


class _TooDeep(Exception):
    """Rules are nested beyond the limit."""


@dataclass(slots=True)
class _Run:
    """One validation: its end, what it could not check, what to call the schema, and how deep in rules it is."""

    deadline: float
    notes: list[str]
    what: str
    rules: int = 0

    def go_on(self) -> None:
        """Raise _OutOfTime once the time is used."""
        if time.monotonic() > self.deadline:
            raise _OutOfTime


_RUN: ContextVar[_Run] = ContextVar("validation")
_SMALL = 500
"""Values, and subschemas, up to which a plain check takes microseconds each."""
_PLAIN = frozenset(
    {
        *(
            "type",
            "properties",
            "required",
            "items",
            "additionalProperties",
            "enum",
            "const",
            "$schema",
            "$id",
            "format",
        ),
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "minimum", "maximum"),
        *("exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"),
        *("minProperties", "maxProperties"),
    }
)
"""Keywords whose cost is that of a look."""


def validate(value: Json, schema: Json, warnings: list[str] | None = None, what: str = "json_schema") -> list[str]:
    """Readable errors, each with its path (`$.items[0].name: ...`); empty when the value fits.

    Takes 0.2 s at most (plus the first import of jsonschema); what could not be checked is appended to `warnings`.
    `what` is what they call the schema.
    """
    import referencing

    made = _validator()  # imports the library the first time, which is not what the seconds are for
    run = _Run(time.monotonic() + VALIDATE_SECONDS, warnings if warnings is not None else [], what)
    errors: list[str] = []
    before = _RUN.set(run)
    try:
        # A registry without a `retrieve` function: a remote $ref is an error and not a request.
        for error in made(schema, registry=referencing.Registry()).iter_errors(value):
            errors.append(f"{_path(error.absolute_path)}: {_short(error.message)}")
            if len(errors) == _MOST_ERRORS:
                run.notes.append(f"Only the first {_MOST_ERRORS} errors are listed.")
                break
    except _OutOfTime:
        run.notes.append(f"Validation against {what} was skipped after {VALIDATE_SECONDS} s: the schema is too costly.")
    except (RecursionError, _TooDeep):
        run.notes.append(f"Validation against {what} was skipped: the schema or the answer is nested too deep.")
    except referencing.exceptions.Unresolvable:
        run.notes.append(f"Validation against {what} was skipped: a $ref in it points at nothing.")
    finally:
        _RUN.reset(before)
    return errors


async def check(value: Json, schema: Json, what: str = "json_schema") -> Checked:
    """`validate`, where it is needed, and on a worker thread unless it is done sooner than a thread would begin."""
    checked = Checked()
    if surely.fits(value, schema):
        return checked
    if "jsonschema" in sys.modules and _small(value) and _plain(schema):
        checked.errors = validate(value, schema, checked.warnings, what)
    else:
        checked.errors = await anyio.to_thread.run_sync(validate, value, schema, checked.warnings, what)
    return checked


def _small(value: Json) -> bool:
    stack, count = [value], 0
    while stack:
        node = stack.pop()
        count += 1
        if isinstance(node, dict | list):
            count += len(node)
            stack.extend(node.values() if isinstance(node, dict) else node)
        if count > _SMALL:
            return False
    return True


def _plain(schema: Json) -> bool:
    """Whether it costs no more than a look at each value: nothing is tried several ways, searched for or compared."""
    stack, count = [schema], 0
    while stack:
        node = stack.pop()
        count += 1
        if not isinstance(node, dict) or count > _SMALL or not node.keys() <= _PLAIN:
            return False
        enum, inner, items = node.get("enum"), node.get("properties"), node.get("items")
        if isinstance(enum, list) and len(enum) > _SMALL:
            return False
        stack += inner.values() if isinstance(inner, dict) else ()
        if items is not None:
            stack.append(items)
        if not isinstance(node.get("additionalProperties", False), bool):
            return False
    return True


@cache
def _validator() -> Any:
    """The validator's class; made once, as making it costs as much as fifty small checks."""
    import jsonschema

    known = jsonschema.Draft202012Validator
    own = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
        "multipleOf": _multiple_of,
        "unevaluatedProperties": _unevaluated_properties,
        "unevaluatedItems": _unevaluated_items,
    }
    extend: Any = jsonschema.validators.extend  # untyped
    made = extend(known, {name: _timed(rule) for name, rule in {**known.VALIDATORS, **own}.items()})
    evolve = made.evolve

    def evolved(self: Any, **changes: Any) -> Any:
        schema = changes.get("schema", self.schema)
        if isinstance(schema, dict) and "$schema" in schema:
            # The library would go on with its own rules for that dialect, and with its own way of running patterns.
            changes["schema"] = {key: value for key, value in schema.items() if key != "$schema"}
        return evolve(self, **changes)

    made.evolve = evolved
    return made


def _timed(rule: Callable[..., Any]) -> Callable[..., Any]:
    def timed(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        run = _RUN.get()
        run.go_on()
        if run.rules == _MOST_RULES or _is_near_the_end():
            raise _TooDeep
        run.rules += 1
        try:
            yield from rule(validator, wanted, instance, schema) or ()
        finally:
            run.rules -= 1

    return timed


def _is_near_the_end() -> bool:
    """Whether the stack is nearly full. Where a RecursionError meets the Rust below the library, that panics, and a
    panic is no `Exception`: whatever was under way would end with it, and not the validation alone.
    """
    try:
        sys._getframe(sys.getrecursionlimit() - _MARGIN)
    except ValueError:
        return False
    return True


def _found(pattern: str, text: str) -> bool | None:
    run = _RUN.get()
    run.go_on()
    result = patterns.matches(pattern, text)
    if result is None:
        note = f"The pattern {_short(pattern, 60)!r} of {run.what} was skipped: it may be too slow to check."
        if note not in run.notes:
            run.notes.append(note)
    return result


def _pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Any:
    if isinstance(instance, str) and _found(wanted, instance) is False:
        yield _error(f"{_short(instance)!r} does not match {_short(wanted)!r}")


def _pattern_properties(validator: Any, wanted: dict[str, Any], instance: Any, schema: Any) -> Any:
    if isinstance(instance, dict):
        for expression, inner in wanted.items():
            for name, value in instance.items():
                if _found(expression, name):
                    yield from validator.descend(value, inner, path=name, schema_path=expression)


def _additional_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
    if isinstance(instance, dict):
        named, expressions = schema.get("properties", {}), schema.get("patternProperties", {})
        for name, value in instance.items():
            # A name whose pattern was skipped counts as known: an unsure check must not refuse an answer.
            if name in named or any(_found(expression, name) is not False for expression in expressions):
                continue
            if wanted is False:
                yield _error(f"{_short(name)!r} is not a property that is allowed here")
            elif wanted is not True:
                yield from validator.descend(value, wanted, path=name)


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
    if wanted and isinstance(instance, list):
        spelled = {json.dumps(_valued(item), sort_keys=True) for item in instance}
        if len(spelled) != len(instance):
            yield _error("the items are not all different")


def _valued(value: Any) -> Any:
    """The value with 1.0 as 1, wherever it stands: numbers are the same by what they are, not by how they are spelled.

    A key needs no such care, and a truth is no number.
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_valued(item) for item in value]
    if isinstance(value, dict):
        return {name: _valued(item) for name, item in value.items()}
    return value


def _multiple_of(validator: Any, wanted: float, instance: Any, schema: Any) -> Any:
    """Exact, as the digits say it: 0.3 is a multiple of 0.1, and a number may be longer than a float holds."""
    if isinstance(instance, int | float) and not isinstance(instance, bool):
        try:
            whole = (_exact(instance) / _exact(wanted)).denominator == 1
        except (ValueError, OverflowError):  # an infinite one
            whole = False
        if not whole:
            yield _error(f"{_short(str(instance))} is not a multiple of {wanted}")


def _exact(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def _unevaluated_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
    if isinstance(instance, dict):
        seen = evaluated.names(validator, instance, schema, _found)
        for name in instance.keys() - seen:
            if wanted is False:
                yield _error(f"{_short(name)!r} is not a property that is allowed here")
            else:
                yield from validator.descend(instance[name], wanted, path=name)


def _unevaluated_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
    if isinstance(instance, list):
        seen = evaluated.places(validator, instance, schema)
        for index, item in enumerate(instance):
            if index not in seen:
                yield from validator.descend(item, wanted, path=index)


def _error(message: str) -> Exception:
    import jsonschema

    return jsonschema.ValidationError(message)


def _path(pieces: Any) -> str:
    return "$" + "".join(f"[{piece}]" if isinstance(piece, int) else f".{piece}" for piece in pieces)


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"
