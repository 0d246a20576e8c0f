"""Which members of a value a schema looks at itself: what `unevaluatedProperties` and `unevaluatedItems` leave out.

The library's own way runs any pattern on any name and follows references without end; here time and depth are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_LEVELS: Final = 50
"""Of schemas that apply to the same value."""


def names(validator: Any, value: dict[str, Any], schema: Any, found: Callable[[str, str], bool | None]) -> set[str]:
    """The properties that count as looked at; `found` says whether a pattern is in a name, None where it is unsure.

    Raises RecursionError where schemas refer to one another on the same value without end.
    """

    def own(one: dict[str, Any], outer: bool) -> set[str]:
        if "additionalProperties" in one or (not outer and "unevaluatedProperties" in one):
            return set(value)
        expressions = one.get("patternProperties", {})
        return {
            name
            for name in value
            if name in one.get("properties", {}) or any(found(pattern, name) is not False for pattern in expressions)
        }

    return {name for _, one, outer in _holding(validator, value, schema, 0) for name in own(one, outer)}


def places(validator: Any, value: list[Any], schema: Any) -> set[int]:
    """The same of a list's items, by index."""

    def own(at: Any, one: dict[str, Any], outer: bool) -> set[int]:
        if "items" in one or (not outer and "unevaluatedItems" in one):
            return set(range(len(value)))
        seen = set(range(min(len(one.get("prefixItems", ())), len(value))))
        if "contains" in one:
            wanted = one["contains"]
            seen |= {index for index, item in enumerate(value) if _holds(at, item, wanted)}
        return seen

    return {index for at, one, outer in _holding(validator, value, schema, 0) for index in own(at, one, outer)}


def _holding(validator: Any, value: Any, schema: Any, level: int) -> Iterator[tuple[Any, dict[str, Any], bool]]:
    """The schema and all within that apply to the same value and hold, each with the validator that resolves its
    references, and True for the schema itself.
    """
    if not isinstance(schema, dict):
        return
    if level > _MOST_LEVELS:
        raise RecursionError("schemas refer to one another without end")
    yield validator, schema, not level
    for at, inner in _applied(validator, value, schema):
        yield from _holding(at, value, inner, level + 1)


def _applied(validator: Any, value: Any, schema: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """What a schema applies to the same value."""
    for key in ("$ref", "$dynamicRef"):
        if key in schema:
            target = validator._resolver.lookup(schema[key])
            yield validator.evolve(schema=target.contents, _resolver=target.resolver), target.contents
    for key in ("allOf", "anyOf", "oneOf"):
        yield from ((validator, inner) for inner in schema.get(key, ()) if _holds(validator, value, inner))
    if "if" in schema:
        if _holds(validator, value, schema["if"]):
            yield validator, schema["if"]
            yield validator, schema.get("then")
        else:
            yield validator, schema.get("else")
    if isinstance(value, dict):
        dependent = schema.get("dependentSchemas", {})
        yield from ((validator, inner) for name, inner in dependent.items() if name in value)


def _holds(validator: Any, value: Any, schema: Any) -> bool:
    return next(validator.descend(value, schema), None) is None
