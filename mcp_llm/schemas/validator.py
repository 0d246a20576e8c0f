"""Does a value fit a JSON Schema? Time is counted, and a pattern is run only where it is proved to be cheap.

The value and the schema may both be hostile; what is not checked for that reason is told as a warning. `format` is an
annotation here, as the specification has it by default.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from . import patterns

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.types.message import Json

VALIDATE_SECONDS = 0.2
_MOST_ERRORS = 20


@dataclass(slots=True)
class Checked:
    """`errors` empty: the value fits as far as it was checked; `warnings` say what was not checked."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class _OutOfTime(Exception):
    """The validator has used its time."""


def validate(value: Json, schema: Json, warnings: list[str] | None = None, what: str = "json_schema") -> list[str]:
    """Readable errors, each with its path (`$.items[0].name: ...`); empty when the value fits.

    Takes 0.2 s at most (plus the first import of jsonschema); what could not be checked is appended to `warnings`.
    `what` is what they call the schema.
    """
    import jsonschema
    import referencing

    notes = warnings if warnings is not None else []
    rules = _rules(jsonschema.Draft202012Validator.VALIDATORS, time.monotonic() + VALIDATE_SECONDS, notes, what)
    extend: Any = jsonschema.validators.extend  # untyped
    validator = extend(jsonschema.Draft202012Validator, rules)
    errors: list[str] = []
    try:
        # A registry without a `retrieve` function: a remote $ref is an error and not a request.
        for error in validator(schema, registry=referencing.Registry()).iter_errors(value):
            errors.append(f"{_path(error.absolute_path)}: {_short(error.message)}")
            if len(errors) == _MOST_ERRORS:
                notes.append(f"Only the first {_MOST_ERRORS} errors are listed.")
                break
    except _OutOfTime:
        notes.append(f"Validation against {what} was skipped after {VALIDATE_SECONDS} s: the schema is too costly.")
    except RecursionError:
        notes.append(f"Validation against {what} was skipped: the schema or the answer is nested too deep.")
    except referencing.exceptions.Unresolvable:
        notes.append(f"Validation against {what} was skipped: a $ref in it points at nothing.")
    return errors


async def check(value: Json, schema: Json, what: str = "json_schema") -> Checked:
    """`validate` on a worker thread."""
    checked = Checked()
    checked.errors = await anyio.to_thread.run_sync(validate, value, schema, checked.warnings, what)
    return checked


def _rules(known: Any, deadline: float, notes: list[str], what: str) -> dict[str, Any]:
    def timed(rule: Callable[..., Any]) -> Callable[..., Any]:
        def run(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
            if time.monotonic() > deadline:
                raise _OutOfTime
            return rule(validator, wanted, instance, schema)

        return run

    def found(pattern: str, text: str) -> bool | None:
        if time.monotonic() > deadline:
            raise _OutOfTime
        result = patterns.matches(pattern, text)
        if result is None:
            note = f"The pattern {_short(pattern, 60)!r} of {what} was skipped: it may be too slow to check."
            if note not in notes:
                notes.append(note)
        return result

    def pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Any:
        if isinstance(instance, str) and found(wanted, instance) is False:
            yield _error(f"{_short(instance)!r} does not match {_short(wanted)!r}")

    def pattern_properties(validator: Any, wanted: dict[str, Any], instance: Any, schema: Any) -> Any:
        if isinstance(instance, dict):
            for expression, inner in wanted.items():
                for name, value in instance.items():
                    if found(expression, name):
                        yield from validator.descend(value, inner, path=name, schema_path=expression)

    def additional_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
        if isinstance(instance, dict):
            named, expressions = schema.get("properties", {}), schema.get("patternProperties", {})
            for name, value in instance.items():
                # A name whose pattern was skipped counts as known: an unsure check must not refuse an answer.
                if name in named or any(found(expression, name) is not False for expression in expressions):
                    continue
                if wanted is False:
                    yield _error(f"{_short(name)!r} is not a property that is allowed here")
                elif wanted is not True:
                    yield from validator.descend(value, wanted, path=name)

    def unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
        if wanted and isinstance(instance, list):
            spelled = {json.dumps(item, sort_keys=True) for item in instance}
            if len(spelled) != len(instance):
                yield _error("the items are not all different")

    own = {
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional_properties,
        "uniqueItems": unique_items,
    }
    return {name: timed(rule) for name, rule in {**known, **own}.items()}


def _error(message: str) -> Exception:
    import jsonschema

    return jsonschema.ValidationError(message)


def _path(pieces: Any) -> str:
    return "$" + "".join(f"[{piece}]" if isinstance(piece, int) else f".{piece}" for piece in pieces)


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"
