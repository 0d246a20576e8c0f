"""Structured answers: JSON is found where it is, checked as far as that is safe, and what was not checked is said."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest

from mcp_llm.errors import InvalidInput, SchemaMismatch, TooLarge
from mcp_llm.llm.structured import Checked, check, check_schema, parse, repair_prompt, validate
from mcp_llm.schemas import patterns

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}}},
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"tag": {"type": "string", "maxLength": 3}},
}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def test_usable_schemas_pass() -> None:
    for schema in (PERSON, True, {}, {"properties": {"$ref": {"type": "string"}}}, {"const": {"$ref": "http://x"}}):
        check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "http://127.0.0.1:9/s.json"}, "nothing is fetched"),
        ({"items": {"$ref": "other.json#/a"}}, "#/items/\\$ref"),
        ({"$ref": "#/$defs/none"}, "points at nothing"),
        ({"type": "text"}, "one of array"),
        ({"properties": []}, "object of schemas"),
        ({"properties": {"a": 1}}, "#/properties/a"),
        ({"anyOf": []}, "list of schemas"),
        ({"required": "name"}, "property names"),
        ({"maxLength": -1}, "whole number"),
        ({"multipleOf": 0}, "above 0"),
        ({"enum": {}}, "a list"),
        ({"pattern": 5}, "a string"),
        ({"default": {1, 2}}, "what JSON cannot say"),
        ({"default": float("nan")}, "what JSON cannot say"),
        ([], "an object, true or false"),
    ],
)
def test_a_wrong_schema_is_refused_naming_the_place_or_the_fault(schema: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_schema(schema)


def cyclic() -> dict[str, Any]:
    schema: dict[str, Any] = {}
    schema["not"] = schema
    return schema


def shared() -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(60):
        schema = {"anyOf": [schema, schema]}
    return schema


@pytest.mark.parametrize(
    "schema",
    [nested(2000), cyclic(), shared(), {"description": "x" * 300_000}, {"enum": list(range(200_000))}],
    ids=["deep", "cyclic", "shared", "long", "wide"],
)
def test_schema_bombs_are_refused_quickly(schema: Any) -> None:
    start = time.perf_counter()
    with pytest.raises(TooLarge):
        check_schema(schema)
    assert time.perf_counter() - start < 0.25  # 50 ms on a quiet machine


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("  3.5 ", 3.5),
        ("\ufeff[]", []),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ("Sure! Here it is:\n```\n[1, 2]\n```\nAnything else?", [1, 2]),
        ('Sure {ok}: {"a": {"b": [1]}} - done.', {"a": {"b": [1]}}),
        ('Of [1] and {"longer": "value"}', {"longer": "value"}),
        ('{"a": [1, 2,], "b": ",]",}', {"a": [1, 2], "b": ",]"}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        ('{"code": "```js\\nx\\n```"}', {"code": "```js\nx\n```"}),
    ],
)
def test_json_is_found_in_what_models_say(text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    "text", ["", "no", "{", '{"a": NaN}', "{'a': 1}", "[" * 100_000, "{" * 100_000, "[1, " * 50_000]
)
def test_what_is_not_json_is_a_mismatch_that_keeps_the_text(text: str) -> None:
    with pytest.raises(SchemaMismatch) as caught:
        parse(text)
    assert caught.value.text == text


@hypothesis.given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_every_json_value_is_read_back_bare_and_fenced(value: Any) -> None:
    assert parse(json.dumps(value)) == value
    assert parse(f"```json\n{json.dumps(value, indent=1)}\n```") == value


def test_errors_are_readable_and_have_paths() -> None:
    assert validate({"name": "a", "tags": ["abc"]}, PERSON) == []
    assert validate({"name": 5, "tags": ["ab", "long"], "age": 3}, PERSON) == [
        "$.name: 5 is not of type 'string'",
        "$.tags[1]: 'long' is too long",
        "$: 'age' is not a property that is allowed here",
    ]
    assert validate({}, PERSON) == ["$: 'name' is a required property"]


def test_cheap_patterns_are_checked() -> None:
    schema = {"pattern": r"^\d{4}-\d{2}-\d{2}$"}
    assert (validate("2026-11-20", schema), validate("soon", schema)) == (
        [],
        [r"$: 'soon' does not match '^\\d{4}-\\d{2}-\\d{2}$'"],
    )
    named = {"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False}
    assert validate({"x-a": 1, "x-b": "no"}, named) == ["$.x-b: 'no' is not of type 'integer'"]
    assert validate({"y": 1}, named) == ["$: 'y' is not a property that is allowed here"]


@pytest.mark.parametrize(
    "pattern",
    ["^(a+)+$", "(a|aa)+$", "^(a|a)*$", "(.*a){20}", "a*a*a*a*a*a*b", r"^(\w+\s?)*$", "^((a{0,30}){0,30})$",
     "(?:(a?){30}){30}",
     "(a+){100,}", r"(a)\1", "(" * 400 + ")" * 400],
)  # fmt: skip
def test_patterns_that_may_be_slow_are_skipped_and_said_to_be(pattern: str) -> None:
    warnings: list[str] = []
    start = time.perf_counter()
    errors = validate("a" * 5000 + "!", {"pattern": pattern}, warnings)
    assert time.perf_counter() - start < 1
    assert errors == []
    assert [warning.endswith("it may be too slow to check.") for warning in warnings] == [True]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^a+$", "aaa", True),
        ("b", "abc", True),
        (r"^[^@]+@[^@]+\.[a-z]{2,}$", "somebody@example.org", True),
        ("^(red|green)$", "blue", False),
        (r"^\p{L}+$", "a", None),
        ("(", "a", None),
    ],
)
def test_ordinary_patterns_are_run_and_foreign_ones_left(pattern: str, text: str, found: bool | None) -> None:
    assert patterns.matches(pattern, text) is found


BOMB = {"$defs": {"a": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/a"}}] * 8}}, "$ref": "#/$defs/a"}


@pytest.mark.parametrize(
    ("value", "schema", "words"),
    [
        ([[[[[[[[[[[[1]]]]]]]]]]]], BOMB, "too costly"),
        (1, {"$ref": "#"}, "nested too deep"),
        (1, {"$ref": "#nowhere"}, "points at nothing"),
        (1, {"$ref": "http://127.0.0.1:9/s.json"}, "points at nothing"),
    ],
)
def test_schemas_that_never_end_are_given_up_with_a_warning(value: Any, schema: Any, words: str) -> None:
    warnings: list[str] = []
    validate(value, schema, warnings)
    assert [words in warning for warning in warnings] == [True]


def test_many_items_are_compared_in_linear_time() -> None:
    items = [{"a": number} for number in range(5000)]
    assert validate(items, {"uniqueItems": True}) == []
    assert validate([*items, {"a": 0}], {"uniqueItems": True}) == ["$: the items are not all different"]


@pytest.mark.parametrize("items", [[1, 1.0], [{"a": [2]}, {"a": [2.0]}], [0, -0.0], [1e300, int(1e300)]])
def test_numbers_are_the_same_by_what_they_are(items: list[Any]) -> None:
    assert validate(items, {"uniqueItems": True}) == ["$: the items are not all different"]


@pytest.mark.parametrize("items", [[1, True], [0, False, None], ["1", 1], [1, 1.5], [[1], {"1": 1}]])
def test_values_of_other_kinds_are_different(items: list[Any]) -> None:
    assert validate(items, {"uniqueItems": True}) == []


@pytest.mark.anyio
async def test_checking_on_a_worker_thread_gives_errors_and_warnings() -> None:
    slow = {"type": "object", "properties": {"s": {"pattern": "^(a+)+$"}, "n": {"type": "integer"}}}
    checked = await check({"s": "a" * 32 + "!", "n": "x"}, slow)
    assert checked == Checked(
        ["$.n: 'x' is not of type 'integer'"],
        ["The pattern '^(a+)+$' of json_schema was skipped: it may be too slow to check."],
    )


def test_jsonschema_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, mcp_llm.llm.structured; sys.exit('jsonschema' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_repair_prompt_names_the_errors_and_the_schema() -> None:
    prompt = repair_prompt(["$.a: 5 is not of type 'string'"], {"type": "object"})
    assert "- $.a: 5 is not of type 'string'" in prompt
    assert '{"type":"object"}' in prompt


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "^(a|aa)+$"}}},
        {"patternProperties": {"^(a|aa)+$": {}}, "unevaluatedProperties": False},
        {"allOf": [{"patternProperties": {"^(a|aa)+$": True}}], "unevaluatedProperties": {"type": "null"}},
    ],
)
def test_no_other_dialect_and_no_keyword_is_a_way_around_the_bound_of_patterns(schema: dict[str, Any]) -> None:
    warnings: list[str] = []
    validate({"a": "a" * 5000 + "!", "a" * 5000 + "!": 1}, {"type": "object", **schema}, warnings)
    assert any("may be too slow to check" in one for one in warnings)


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"unevaluatedProperties": False}, {}, True),
        ({"unevaluatedProperties": False}, {"a": 1}, False),
        ({"properties": {"a": {}}, "unevaluatedProperties": False}, {"a": 1}, True),
        ({"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}, {"a": 1, "b": 2}, False),
        ({"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}, {"a": 1}, True),
        ({"anyOf": [{"properties": {"a": {"type": "string"}}}, {}], "unevaluatedProperties": False}, {"a": 1}, False),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"properties": {"a": {}}}}, "unevaluatedProperties": False},
         {"a": 1}, True),
        ({"if": {"properties": {"a": {"const": 1}}}, "else": {"properties": {"b": {}}}, "unevaluatedProperties": False},
         {"a": 1}, True),
        ({"if": {"properties": {"a": {"const": 1}}}, "else": {"properties": {"b": {}}}, "unevaluatedProperties": False},
         {"a": 2}, False),
        ({"dependentSchemas": {"a": {"properties": {"b": {}}}}, "unevaluatedProperties": False}, {"b": 1}, False),
        ({"patternProperties": {"^x": {}}, "unevaluatedProperties": {"type": "string"}}, {"x1": 1, "y": "s"}, True),
        ({"patternProperties": {"^x": {}}, "unevaluatedProperties": {"type": "string"}}, {"x1": 1, "y": 2}, False),
        ({"allOf": [{"additionalProperties": True}], "unevaluatedProperties": False}, {"a": 1}, True),
        ({"unevaluatedItems": False}, [1], False),
        ({"prefixItems": [{}], "unevaluatedItems": False}, [1], True),
        ({"prefixItems": [{}], "unevaluatedItems": False}, [1, 2], False),
        ({"contains": {"type": "string"}, "unevaluatedItems": False}, ["a"], True),
        ({"contains": {"type": "string"}, "unevaluatedItems": False}, ["a", 1], False),
        ({"allOf": [{"items": {}}], "unevaluatedItems": False}, [1, 2], True),
        ({"oneOf": [{"prefixItems": [{}, {}]}], "unevaluatedItems": {"type": "null"}}, [1, 2, None], True),
        ({"multipleOf": 0.1}, 0.3, True),
        ({"multipleOf": 0.1}, 10**400, True),
        ({"multipleOf": 0.2}, 0.3, False),
        ({"multipleOf": 3}, 10**400, False),
    ],
)  # fmt: skip
def test_what_is_left_over_and_multiples_are_judged_as_the_specification_says(
    schema: dict[str, Any], value: Any, fits: bool
) -> None:
    warnings: list[str] = []
    assert (validate(value, schema, warnings) == []) is fits
    assert warnings == []


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#", "unevaluatedProperties": False},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
        {"$defs": {str(n): {"$ref": f"#/$defs/{n + 1}"} for n in range(900)} | {"900": {}}, "$ref": "#/$defs/0"},
    ],
)
def test_a_schema_that_leads_nowhere_is_left_before_the_interpreter_would_stop_it(schema: dict[str, Any]) -> None:
    warnings: list[str] = []
    assert validate({"a": 1}, schema, warnings) == []
    assert warnings == ["Validation against json_schema was skipped: the schema or the answer is nested too deep."]
