"""Bytes -> choices: JSON values and JSON Schemas that grow byte by byte, where bytes as text would get nowhere.

The same bytes always give the same value; when they are used up, what is left is small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_NUMBERS: Final = (0, 1, -1, 2.5, 10, 1e308, 5e-324, 2**63, 10**400, -0.0, 1e22, 0.1)
_TEXTS: Final = (
    *("", "a", "b", "name", "$ref", "#", "null", "\ud800", "é", "\u202e", "a/b", "~1", "%25", "0", "9" * 5000, "\0"),
    *("#/$defs/a", "#/$defs/b", "#/properties/a", "#a", "http://[::1", "https://x.example/s", "#/allOf/0", "urn:a"),
)
_PATTERNS: Final = (
    *("^a+$", "(a+)+$", "[[a]", "(?i)", "(", "a{1,9}{2}", r"\p{L}", "(?<=a)b", r"(a)\1", "[a-", "(?P<x>a)(?P<x>b)"),
    *("(?i)[\u0100-\uffff]", "^(?:a|a)*$", "\ud800", "(?#", "a{99999999999999999999}", ".*.*.*=", "[^]", "(?s-i:a)"),
)
_FORMATS: Final = ("date-time", "email", "uuid", "regex", "nonsense", "")
_TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null", "thing")
_NAMES: Final = ("a", "b", "name", "x-y", "", "$ref", "properties", "é", "0")
_KEYS: Final[tuple[tuple[str, str], ...]] = (
    *((key, "schema") for key in ("not", "if", "then", "else", "items", "contains", "additionalProperties")),
    *((key, "schema") for key in ("propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema")),
    *((key, "schemas") for key in ("allOf", "anyOf", "oneOf", "prefixItems")),
    *((key, "named") for key in ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")),
    *((key, "number") for key in ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minContains")),
    *((key, "number") for key in ("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf")),
    *((key, "text") for key in ("$id", "$schema", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "title")),
    *((key, "text") for key in ("description", "$ref", "$ref")),
    *(("type", "type"), ("type", "type"), ("pattern", "pattern"), ("format", "format"), ("required", "names")),
    *(("enum", "values"), ("const", "value"), ("default", "value"), ("nullable", "bool"), ("uniqueItems", "bool")),
    *(("dependentRequired", "value"), ("items", "schemas"), ("x-unknown", "value")),
)


@dataclass(slots=True)
class Picks:
    """Reads one input."""

    data: bytes
    at: int = 0

    def byte(self) -> int:
        """The next byte; 0 after the last."""
        if self.at >= len(self.data):
            return 0
        self.at += 1
        return self.data[self.at - 1]

    def of(self, options: Sequence[T]) -> T:
        """One of at most 256 options."""
        return options[self.byte() % len(options)]

    def rest(self) -> bytes:
        """All that was not read."""
        at, self.at = self.at, len(self.data)
        return self.data[at:]

    def text(self) -> str:
        """A word, or some characters of the input itself."""
        if (kind := self.byte()) < 200:
            return _TEXTS[kind % len(_TEXTS)]
        taken = self.data[self.at : self.at + kind - 200]
        self.at += len(taken)
        return taken.decode("utf-8", "surrogateescape" if kind % 2 else "replace")

    def value(self, depth: int = 0) -> Any:
        """A JSON value as Python has it, with the numbers and half characters that JSON's escapes can spell."""
        kind = self.byte() % (10 if depth < 6 else 6)
        if kind < 2:
            return self.of((None, True, False))
        if kind < 4:
            return self.of(_NUMBERS)
        if kind < 6:
            return self.text()
        count = self.byte() % 5
        if kind < 8:
            return [self.value(depth + 1) for _ in range(count)]
        return {self.of(_NAMES): self.value(depth + 1) for _ in range(count)}

    def schema(self, depth: int = 0) -> Any:
        """A JSON Schema, nearly: now and then a keyword has what it may not have."""
        kind = self.byte()
        if depth > 8 or kind < 8:
            return self.of((True, False, {}))
        return {key: self._keyword(what, depth) for key, what in (self.of(_KEYS) for _ in range(kind % 6))}

    def _keyword(self, what: str, depth: int) -> Any:
        count = self.byte()
        if count > 250:
            return self.value()
        count %= 5
        if what == "schema":
            return self.schema(depth + 1)
        if what == "schemas":
            return [self.schema(depth + 1) for _ in range(count)]
        if what == "named":
            return {self.of(_NAMES): self.schema(depth + 1) for _ in range(count)}
        if what == "names":
            return [self.of(_NAMES) for _ in range(count)]
        if what == "values":
            return [self.value(5) for _ in range(count)]
        if what == "type":
            return self.of(_TYPES) if count else [self.of(_TYPES) for _ in range(self.byte() % 3)]
        simple: dict[str, Sequence[Any]] = {
            "number": _NUMBERS,
            "pattern": _PATTERNS,
            "format": _FORMATS,
            "bool": (True, False),
        }
        if what in simple:
            return self.of(simple[what])
        return self.text() if what == "text" else self.value(3)
