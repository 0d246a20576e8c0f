"""Structured answers: is the schema usable, where is the JSON, does it fit, and how to ask for a better one.

A schema comes from a caller and an answer from a model, and together they may be a bomb. So nothing is fetched, the
validator counts its time, and a `pattern` is run only where `patterns.py` has proved that it is cheap; what is not
checked for these reasons is told as a warning. `format` is an annotation here, as the specification has it by default.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from mcp_llm.errors import InvalidInput, SchemaMismatch, TooLarge

from . import patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_llm.types.message import Json

MAX_DEPTH = 64
MAX_BYTES = 256 * 1024
VALIDATE_SECONDS = 0.2
_MOST_ERRORS = 20
_MOST_STARTS = 50
"""Places in an answer where a JSON value is tried to be read."""

_SCHEMA = {"not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames"}
_SCHEMA |= {"unevaluatedItems", "unevaluatedProperties", "contentSchema"}
_SCHEMAS = {"allOf", "anyOf", "oneOf", "prefixItems"}
_NAMED = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
_COUNTS = {"maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties", "maxContains"} | {
    "minContains"
}
_NUMBERS = {"maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"}
_STRINGS = {
    "$id",
    "$schema",
    "$ref",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$comment",
    "pattern",
    "format",
    "title",
}
_STRINGS |= {"description", "contentEncoding", "contentMediaType"}
_TYPES = {"null", "boolean", "object", "array", "number", "string", "integer"}


@dataclass(slots=True)
class Checked:
    """`errors` empty: the value fits as far as it was checked; `warnings` say what was not checked."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_schema(schema: Json) -> None:
    """Raise InvalidInput (or TooLarge) for a schema that is too deep, too big, remote, or no JSON Schema at all."""
    _check_size(schema)
    todo: list[tuple[Any, str]] = [(schema, "#")]
    while todo:
        node, path = todo.pop()
        if isinstance(node, bool):
            continue
        if not isinstance(node, dict):
            raise InvalidInput(f"json_schema is wrong at {path}: a schema is an object, true or false.")
        for key, value in node.items():
            here = f"{path}/{key}"[:200]
            if fault := _fault(key, value, schema):
                raise InvalidInput(f"json_schema is wrong at {here}: {fault}.")
            if key in _SCHEMA:
                todo.append((value, here))
            elif key in _SCHEMAS:
                todo.extend((inner, f"{here}/{index}") for index, inner in enumerate(value))
            elif key in _NAMED:
                todo.extend((inner, f"{here}/{name}") for name, inner in value.items())


def _check_size(schema: Json) -> None:
    level, depth, nodes = [schema], 0, 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise TooLarge(f"json_schema is nested deeper than {MAX_DEPTH} levels: make it flatter, with $defs.")
        below = [node for node in level if isinstance(node, dict | list)]
        nodes += sum(len(node) for node in below)
        if nodes > MAX_BYTES // 2:  # a value takes two bytes; one object in many places is written out as often
            raise TooLarge(f"json_schema has more than {MAX_BYTES} bytes: make it smaller.")
        level = [inner for node in below for inner in (node.values() if isinstance(node, dict) else node)]
    try:
        size = len(json.dumps(schema, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError):
        raise InvalidInput(
            "json_schema holds what JSON cannot say: pass plain dicts, lists, strings, numbers."
        ) from None
    if size > MAX_BYTES:
        raise TooLarge(f"json_schema has {size} bytes; at most {MAX_BYTES} are taken: make it smaller.")


def _fault(key: str, value: Json, root: Json) -> str | None:
    """What is wrong with a keyword's value, None for nothing; unknown keywords are annotations."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if key in {"$ref", "$dynamicRef"} and isinstance(value, str):
        if not value.startswith("#"):
            return "a $ref may point inside the schema only (#/$defs/name); nothing is fetched"
        return None if _points(value, root) else "this $ref points at nothing"
    if key in _STRINGS and not isinstance(value, str):
        return "it has to be a string"
    if key in _COUNTS and not (number and value >= 0 and value == int(value)):
        return "it has to be a whole number, not negative"
    if key in _NUMBERS and not (number and (key != "multipleOf" or value > 0)):
        return "it has to be a number" + (" above 0" if key == "multipleOf" else "")
    if key in _SCHEMAS and not (isinstance(value, list) and value):
        return "it has to be a list of schemas"
    if key in _NAMED and not isinstance(value, dict):
        return "it has to be an object of schemas"
    if key == "enum" and not isinstance(value, list):
        return "it has to be a list"
    if key == "required" and not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        return "it has to be a list of property names"
    if key == "uniqueItems" and not isinstance(value, bool):
        return "it has to be true or false"
    if key == "type":
        names = value if isinstance(value, list) else [value]
        if not names or not all(isinstance(name, str) and name in _TYPES for name in names):
            return f"it has to be one of {', '.join(sorted(_TYPES))}, or a list of them"
    return None


def _points(reference: str, root: Json) -> bool:
    if reference != "#" and not reference.startswith("#/"):
        return True  # an anchor: found, or not, by the validator
    node = root
    for piece in reference[2:].split("/") if reference != "#" else ():
        name = piece.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        else:
            return "%" in piece  # percent-encoded: left to the validator
    return True


def parse(text: str) -> Json:
    """The JSON value in an answer: the whole text, else a code fence's content, else the longest object or array in it.

    The only repairs are commas before a closing bracket and raw line breaks inside strings; NaN is refused. Raises
    SchemaMismatch when there is no JSON value.
    """
    stripped = text.strip().removeprefix("\ufeff").strip()
    for candidate in (stripped, *_fenced(stripped)):
        for spelled in (candidate, _without_commas(candidate)):
            try:
                return _DECODER.decode(spelled)
            except (ValueError, RecursionError):
                continue
    for spelled in (stripped, _without_commas(stripped)):
        found = _longest(spelled)
        if found is not None:
            return found[0]
    raise SchemaMismatch(
        "The model's answer holds no JSON value: ask again, or take a model that can do JSON.", text=text
    )


def _refuse(name: str) -> None:
    raise ValueError(name)


_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse)


def _fenced(text: str) -> Iterator[str]:
    pieces = text.split("```")
    for piece in pieces[1::2][:_MOST_STARTS]:
        first, _, rest = piece.partition("\n")
        yield (rest if first.strip().isalnum() or not first.strip() else piece).strip()


def _longest(text: str) -> tuple[Json] | None:
    best: tuple[int, Json] | None = None
    at, tries = 0, 0
    while tries < _MOST_STARTS:
        starts = [index for index in (text.find("{", at), text.find("[", at)) if index >= 0]
        if not starts:
            break
        start = min(starts)
        tries += 1
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            at = start + 1
            continue
        if best is None or end - start > best[0]:
            best = (end - start, value)
        at = end
    return None if best is None else (best[1],)


def _without_commas(text: str) -> str:
    """Without the commas that stand before a closing bracket, outside strings; one pass."""
    out: list[str] = []
    quoted = escaped = False
    comma = -1
    for letter in text:
        if quoted:
            quoted = escaped or letter != '"'
            escaped = not escaped and letter == "\\"
        elif letter == '"':
            quoted, comma = True, -1
        elif letter == ",":
            comma = len(out)
        elif letter in "}]" and comma >= 0:
            out[comma] = ""
            comma = -1
        elif not letter.isspace():
            comma = -1
        out.append(letter)
    return "".join(out)


class _OutOfTime(Exception):
    """The validator has used its time."""


def validate(value: Json, schema: Json, warnings: list[str] | None = None) -> list[str]:
    """Readable errors, each with its path (`$.items[0].name: ...`); empty when the value fits.

    Takes 0.2 s at most (plus the first import of jsonschema); what could not be checked is appended to `warnings`.
    """
    import jsonschema
    import referencing

    notes = warnings if warnings is not None else []
    rules = _rules(jsonschema.Draft202012Validator.VALIDATORS, time.monotonic() + VALIDATE_SECONDS, notes)
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
        notes.append(
            f"Validation against json_schema was skipped after {VALIDATE_SECONDS} s: the schema is too costly."
        )
    except RecursionError:
        notes.append("Validation against json_schema was skipped: the schema or the answer is nested too deep.")
    except referencing.exceptions.Unresolvable:
        notes.append("Validation against json_schema was skipped: a $ref in it points at nothing.")
    return errors


async def check(value: Json, schema: Json) -> Checked:
    """`validate` on a worker thread."""
    checked = Checked()
    checked.errors = await anyio.to_thread.run_sync(validate, value, schema, checked.warnings)
    return checked


def _rules(known: Any, deadline: float, notes: list[str]) -> dict[str, Any]:
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
            note = f"The pattern {_short(pattern, 60)!r} of json_schema was skipped: it may be too slow to check."
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


def repair_prompt(errors: list[str], schema: Json) -> str:
    """What to say to a model whose answer did not fit: the errors, the schema, and to answer with JSON alone."""
    listed = "\n".join(f"- {error}" for error in errors) or "- it is not a JSON value"
    return (
        "Your last answer does not satisfy the JSON Schema:\n"
        f"{listed}\n\n"
        f"The schema:\n{json.dumps(schema, ensure_ascii=False, separators=(',', ':'))}\n\n"
        "Answer again with the corrected JSON value only, without a code fence and without any other words."
    )
