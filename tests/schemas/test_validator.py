"""Validation of what others wrote against what others wrote: whatever the schema, it ends in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.schemas.validator import validate

if TYPE_CHECKING:
    from collections.abc import Callable

ROUND: list[dict[str, Any]] = [
    {"oneOf": [{"unevaluatedProperties": {}, "$dynamicRef": "#", "oneOf": [True, True]}, True]},
    {"unevaluatedProperties": False, "$ref": "#"},
    {"allOf": [{"$ref": "#"}], "propertyNames": {}},
    {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
]
"""Schemas that lead back to themselves with the same value."""


def below(frames: int, work: Callable[[], object]) -> object:
    """The work with so many frames more above it."""
    return work() if frames == 0 else below(frames - 1, work)


@pytest.mark.parametrize("schema", ROUND)
def test_a_schema_without_end_ends_in_words_however_full_the_stack_is(schema: dict[str, Any]) -> None:
    """Which call meets the end of the stack depends on how full it is; inside Rust it would be a panic."""
    ends = set()
    for frames in range(0, 900, 7):
        warnings: list[str] = []
        below(frames, lambda: validate({"a": True}, schema, warnings))  # noqa: B023 - called at once
        assert len(warnings) == 1
        ends.update(warnings)
    deep = "Validation against json_schema was skipped: the schema or the answer is nested too deep."
    costly = re.compile(r"Validation against json_schema was skipped after [\d.]+ s: the schema is too costly\.")
    assert deep in ends  # a busy machine may have no time left now and then
    assert [end for end in ends if end != deep and not costly.fullmatch(end)] == []
