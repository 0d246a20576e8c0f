"""JSON Schemas as the vendors take them: what the transforms promise, on examples and on generated schemas."""

from __future__ import annotations

import re
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcp_llm.errors import InvalidInput, Unsupported
from mcp_llm.wires.schema import inline_refs, to_closed, to_plain, to_strict, without_nulls

if TYPE_CHECKING:
    from collections.abc import Callable
from wires.schemas import NAMES, TREE, Schema, answers, is_valid, parts_of, put_together, schemas, transforms, values


@given(schemas, st.data())
def test_inlining_changes_nothing_about_what_is_valid(schema: Schema, data: st.DataObject) -> None:
    value = data.draw(answers(schema, schema) | values)
    assert is_valid(value, inline_refs(schema)) == is_valid(value, schema)


@given(schemas, st.data())
def test_the_plain_form_admits_the_same_values(schema: Schema, data: st.DataObject) -> None:
    value = data.draw(answers(schema, schema) | values)
    assert is_valid(value, to_plain(schema)) == is_valid(value, schema)


@given(put_together, st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["a", 1, None])))
def test_the_closed_form_admits_what_names_no_new_keys(schema: Schema, value: Any) -> None:
    """Closing the parts of an object one by one would leave none that fits all of them."""
    assume(is_valid(value, {**schema, "unevaluatedProperties": False}))
    with suppress(Unsupported):
        assert is_valid(value, to_closed(schema))
        assert is_valid({"in": value}, to_closed({"type": "object", "properties": {"in": schema}}))


@given(schemas)
def test_the_strict_form_is_closed_and_requires_everything(schema: Schema) -> None:
    strict = to_strict(schema)
    assume(strict is not None)
    for part in parts_of(strict):
        assert not part.keys() & {"oneOf", "allOf", "default"}
        assert "$ref" not in part or len(part) == 1
        if isinstance(part.get("properties"), dict) and part.get("type") in ("object", ["object", "null"]):
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])


@given(schemas, st.data())
def test_a_strict_form_without_nulls_admits_nothing_new(schema: Schema, data: st.DataObject) -> None:
    strict = to_strict(schema, nulls=False)
    assume(strict is not None)
    value = data.draw(answers(strict or {}, strict or {}))
    assume(is_valid(value, strict or {}))
    assert is_valid(value, schema)


@given(schemas, st.data())
def test_a_strict_answer_without_its_nulls_satisfies_the_original(schema: Schema, data: st.DataObject) -> None:
    strict = to_strict(schema)
    assume(strict is not None)
    value = data.draw(answers(strict or {}, strict or {}))
    assume(is_valid(value, strict or {}))
    assert is_valid(without_nulls(value, schema), schema)


@given(transforms, schemas)
def test_no_transform_touches_its_input(transform: Callable[[Schema], object], schema: Schema) -> None:
    before = deepcopy(schema)
    with suppress(Unsupported):
        transform(schema)
    assert schema == before


@given(
    transforms,
    st.dictionaries(st.sampled_from(["type", "items", "properties", "anyOf", "required", "enum", "format"]), values),
)
def test_nonsense_is_never_a_crash(transform: Callable[[Schema], object], schema: Schema) -> None:
    for nonsense in (schema, {"type": "object", "properties": {"a": {"type": "string"}}, **schema}):
        with suppress(InvalidInput, Unsupported):
            transform(nonsense)
        without_nulls({"a": None}, nonsense)


def test_only_recursive_definitions_stay() -> None:
    tag = {"enum": ["a", "b"]}
    node = {"type": "object", "properties": {"up": {"$ref": "#"}, "next": {"$ref": "#/$defs/Node"}, "tag": tag}}
    assert inline_refs(TREE) == {**TREE, "$defs": {"Node": node}}


def test_words_beside_a_reference_win_and_limits_beside_it_hold_too() -> None:
    schema = {
        "properties": {
            "a": {"$ref": "#/definitions/T", "description": "mine"},
            "b": {"$ref": "#/definitions/T", "minLength": 2},
            "c": {"$ref": "#/definitions/T", "maxLength": 5},
        },
        "definitions": {"T": {"type": "string", "description": "theirs", "maxLength": 9}},
    }
    target = {"type": "string", "description": "theirs", "maxLength": 9}
    assert inline_refs(schema)["properties"] == {
        "a": {**target, "description": "mine"},
        "b": {**target, "minLength": 2},
        "c": {"allOf": [target, {"maxLength": 5}]},
    }


def test_a_root_that_is_a_reference_becomes_an_object() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}, "required": ["next"]}
    schema = {"$ref": "#/$defs/N", "$defs": {"N": node}}
    assert inline_refs(schema) == {**node, "$defs": {"N": node}}


def test_keywords_as_property_names_and_references_in_data_are_left_alone() -> None:
    schema = {
        "type": "object",
        "properties": {"$ref": {"type": "string"}, "properties": {"const": {"$ref": "#/nowhere"}}},
        "default": {"$ref": "https://example.com"},
    }
    assert inline_refs(schema) == schema


def test_pointers_are_read_with_their_escapes() -> None:
    schema = {
        "properties": {"a": {"$ref": "#/$defs/x~1y~0z%20w/anyOf/1"}},
        "$defs": {"x/y~z w": {"anyOf": [True, {"type": "null"}]}},
    }
    assert inline_refs(schema) == {"properties": {"a": {"type": "null"}}}


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({"$ref": "https://example.com/s.json"}, "never fetched"),
        ({"properties": {"a": {"$ref": "other.json#/x"}}}, "never fetched"),
        ({"properties": {"a": {"$ref": "#/$defs/no"}}}, "does not contain"),
        ({"properties": {"a": {"$ref": "#anchor"}}}, "#/$defs/<name>"),
        ({"properties": {"a": {"$ref": 1}}}, "not a string"),
        ({"$ref": "#/$defs/a", "$defs": {"a": True}}, "root"),
        ({"$ref": "#/enum/0", "enum": ["x"]}, "no schema"),
        ({"$ref": "#"}, "nested deeper"),
    ],
)
def test_a_reference_that_cannot_be_followed_is_invalid_input(schema: Schema, word: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(word)):
        inline_refs(schema)


def test_sizes_and_depths_are_capped_also_of_what_references_expand_to() -> None:
    laughs: Schema = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 10} for n in range(9)}
    with pytest.raises(InvalidInput, match="256 KiB"):
        inline_refs({"$ref": "#/$defs/d0", "$defs": {**laughs, "d9": {"type": "string"}}})
    with pytest.raises(InvalidInput, match="256 KiB"):
        inline_refs({"enum": ["x" * 300_000]})
    deep: Schema = {"type": "string"}
    for _ in range(5000):
        deep = {"items": deep}
    with pytest.raises(InvalidInput, match="64 levels"):
        inline_refs(deep)
    knot: Schema = {}
    knot["items"] = knot
    with pytest.raises(InvalidInput, match="64 levels"):
        to_strict(knot)
    chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(500)}
    with pytest.raises(InvalidInput, match="64 levels"):
        inline_refs({"items": {"$ref": "#/$defs/d0"}, "$defs": {**chain, "d500": {}}})
