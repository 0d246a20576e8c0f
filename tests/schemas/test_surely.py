"""What is said to fit without asking the validator does fit, says the validator."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.schemas.surely import MOST, fits

ADD = {
    "type": "object",
    "title": "Add",
    "properties": {"a": {"type": "integer", "minimum": 0}, "b": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
    "required": ["a"],
    "additionalProperties": False,
}
NAMES = {"type": "array", "items": {"type": "string", "enum": ["x", "y"], "description": "one"}}


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({"a": 1}, ADD),
        ({"a": 0, "b": 1.5}, ADD),
        ({"a": 7, "b": None}, ADD),
        (["x", "y", "x"], NAMES),
        ([], NAMES),
        (True, {"type": "boolean"}),
        ({"anything": [1]}, {"type": "object", "additionalProperties": True}),
        ("x", {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "string", "default": 1}),
        ("x", {"type": ["null", "string"]}),
        ("x", {}),
    ],
)
def test_what_fits_a_plain_schema_is_seen_at_once(value: Any, schema: Any) -> None:
    assert fits(value, schema)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({"a": True}, ADD),
        ({"a": 1.0}, ADD),  # an integer to the validator, which is asked
        ({"a": -1}, ADD),
        ({"b": 1}, ADD),
        ({"a": 1, "c": 2}, ADD),
        (["z"], NAMES),
        ("x", {"type": "string", "pattern": "x"}),
        ("x", {"type": "text"}),
        ("x", {"type": ["text", "null"]}),
        (1, {"type": ["string", "null"]}),
        ("x", {"$ref": "#"}),
        ({"a": 1}, {"properties": ["a"]}),
        ({"a": 1}, {"required": 1}),
        ({"a": 1}, True),
        ([1] * MOST, {"items": {"type": "integer"}}),
    ],
)
def test_everything_else_is_left_to_the_validator(value: Any, schema: Any) -> None:
    assert not fits(value, schema)


def test_a_schema_deeper_than_the_stack_is_left_to_the_validator() -> None:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(5000):
        schema = {"anyOf": [schema]}
    assert not fits(1, schema)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, 1.0, 0.5, -1.5])
    | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
kinds = st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "null"])


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": kinds | st.lists(kinds, min_size=1, max_size=2, unique=True),
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "enum": st.lists(values, min_size=1, max_size=3),
            "const": values,
            "minimum": st.integers(-2, 2),
            "maximum": st.integers(-2, 2),
            "minLength": st.integers(0, 2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "title": st.just("t"),
        },
    )


schemas = st.recursive(keywords(st.booleans()), keywords, max_leaves=4)


@given(values, schemas)
def test_it_never_says_yes_where_the_validator_says_no(value: Any, schema: Any) -> None:
    if fits(value, schema):
        assert jsonschema.Draft202012Validator(schema).is_valid(value)
