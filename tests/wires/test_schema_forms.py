"""JSON Schemas as the vendors take them: the strict, the closed and the plain form, on examples."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from wires.schemas import TREE, Schema

from mcp_llm.errors import Unsupported
from mcp_llm.wires.schema import instruction, to_closed, to_plain, to_strict, without_nulls


def test_optional_properties_become_required_and_nullable() -> None:
    schema = {
        "type": "object",
        "title": "T",
        "properties": {
            "a": {"type": "string", "default": "x", "minLength": 2, "description": "A"},
            "b": {"enum": ["p", "q"]},
            "c": {"const": 1},
            "d": {"oneOf": [{"type": "integer"}, {"type": "string", "format": "uri"}]},
            "e": {"type": ["number", "null"], "minimum": 0},
            "f": {"$ref": "#/$defs/F", "description": "dropped"},
            "g": {"allOf": [{"$ref": "#/$defs/F"}], "title": "dropped"},
            "h": {"type": "integer", "nullable": True},
            "i": {"type": "string", "pattern": "^(?=a)"},
        },
        "required": ["g", "i"],
        "$defs": {"F": {"type": "array", "items": {"type": "string", "pattern": "^a"}, "minItems": 1, "x-order": 1}},
    }
    assert to_strict(schema) == {
        "type": "object",
        "title": "T",
        "properties": {
            "a": {"type": ["string", "null"], "description": "A (minLength: 2)"},
            "b": {"type": ["string", "null"], "enum": ["p", "q", None]},
            "c": {"anyOf": [{"type": "integer", "const": 1}, {"type": "null"}]},
            "d": {
                "anyOf": [{"type": "integer"}, {"type": "string", "description": '(format: "uri")'}, {"type": "null"}]
            },
            "e": {"type": ["number", "null"], "minimum": 0},
            "f": {"anyOf": [{"$ref": "#/$defs/F"}, {"type": "null"}]},
            "g": {"$ref": "#/$defs/F"},
            "h": {"type": ["integer", "null"]},
            "i": {"type": "string", "description": '(pattern: "^(?=a)")'},
        },
        "required": ["a", "b", "c", "d", "e", "f", "g", "h", "i"],
        "additionalProperties": False,
        "$defs": {"F": {"type": "array", "items": {"type": "string", "pattern": "^a"}, "minItems": 1}},
    }


def deep_objects(levels: int) -> Schema:
    schema: Schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "inner",
    [
        {},
        True,
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": True},
        {"type": "object", "properties": {}, "required": ["x"], "additionalProperties": False},
        {"type": "array"},
        {"type": "array", "items": True},
        {"type": "array", "prefixItems": [{"type": "string"}]},
        {"type": "string", "not": {"const": "x"}},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
        {"anyOf": [{"type": "string"}], "properties": {}},
        {"enum": [["list"]]},
        {"enum": []},
        {"type": "money"},
        deep_objects(10),
    ],
)
def test_what_has_no_strict_form_is_none(inner: object) -> None:
    assert to_strict({"type": "object", "properties": {"a": inner}}) is None


@pytest.mark.parametrize(
    "root", [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, {}, {"anyOf": [{"type": "object"}]}]
)
def test_a_root_that_is_no_object_has_no_strict_form(root: Schema) -> None:
    assert to_strict(root) is None


def test_a_strict_form_without_nulls_exists_only_where_none_are_needed() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": ["string", "null"]}},
        "required": ["a"],
    }
    assert to_strict(schema, nulls=False) == {**schema, "required": ["a", "b"], "additionalProperties": False}
    assert to_strict({**schema, "required": ["b"]}, nulls=False) is None


def test_the_nulls_of_a_strict_answer_can_be_taken_back() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": ["string", "null"]},
            "c": {"$ref": "#/$defs/C"},
            "d": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/C"}, {"type": "null"}]}},
            "e": {"type": "integer"},
            "f": {},
        },
        "required": ["e"],
        "$defs": {"C": {"type": "object", "properties": {"x": {"type": "integer"}, "n": {"const": None}}}},
    }
    answer = {
        "a": None,
        "b": None,
        "c": {"x": None, "n": None},
        "d": [{"x": None}, None, {"x": 1}],
        "e": None,
        "f": None,
        "z": None,
    }
    before = deepcopy(answer)
    assert without_nulls(answer, schema) == {
        "b": None,
        "c": {"n": None},
        "d": [{}, None, {"x": 1}],
        "e": None,
        "f": None,
        "z": None,
    }
    assert answer == before


def test_the_closed_form_tells_its_limits_in_words() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "minLength": 2, "format": "uri", "default": "x", "description": "A"},
            "b": {"oneOf": [{"const": None}, {"type": "string", "format": "regex"}]},
            "c": {"type": "array", "items": {"$ref": "#/$defs/C"}, "minItems": 1, "maxItems": 3},
            "d": {"type": "array", "minItems": 2},
            "e": {"enum": ["x", ["y"]]},
        },
        "required": ["a"],
        "$defs": {"C": {"type": "object", "properties": {}}},
    }
    assert to_closed(schema) == {
        "type": "object",
        "properties": {
            "a": {"type": "string", "format": "uri", "description": "A (minLength: 2)"},
            "b": {"anyOf": [{"const": None}, {"type": "string", "description": '(format: "regex")'}]},
            "c": {
                "type": "array",
                "items": {"type": "object", "properties": {}, "additionalProperties": False},
                "minItems": 1,
                "description": "(maxItems: 3)",
            },
            "d": {"type": "array", "description": "(minItems: 2)"},
            "e": {"description": '(enum: ["x", ["y"]])'},
        },
        "required": ["a"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        (TREE, "recursive"),
        ({"type": "object", "properties": {"a": {"type": "object"}}}, "free keys"),
        ({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}, "free keys"),
        ({"type": "object", "properties": {"a": {"not": {"type": "string"}}}}, "`not`"),
        (
            {"type": "object", "properties": {"a": {}}, "anyOf": [{"anyOf": [{"properties": {"b": {}}}]}]},
            "together of several",
        ),
        ({"allOf": [{"properties": {"a": {"minimum": 1}}}, {"properties": {"a": {"minimum": 2}}}]}, "several"),
    ],
)
def test_what_the_closed_form_cannot_say_is_unsupported(schema: Schema, word: str) -> None:
    with pytest.raises(Unsupported, match=word):
        to_closed(schema)


def test_the_plain_form_leaves_out_what_is_not_taken() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "a": {"const": "x", "examples": ["x"]},
            "b": {"allOf": [{"type": "number"}, {"minimum": 1, "exclusiveMaximum": 5}], "description": "B"},
            "c": {"oneOf": [{"type": "string"}, {"type": "null"}], "discriminator": {"propertyName": "k"}},
            "d": {"allOf": [{"type": "string"}, {"type": "integer"}]},
        },
    }
    assert to_plain(schema) == {
        "type": "object",
        "properties": {
            "a": {"enum": ["x"]},
            "b": {"type": "number", "minimum": 1, "description": "B (exclusiveMaximum: 5)"},
            "c": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "d": {"allOf": [{"type": "string"}, {"type": "integer"}]},
        },
    }


def test_the_instruction_names_json_and_quotes_the_schema() -> None:
    assert "JSON object" in instruction(None)
    schema = {"type": "object", "title": "Überschrift"}
    words, _, quoted = instruction(schema).partition("\n")
    assert "JSON Schema" in words
    assert json.loads(quoted) == schema
    assert "Überschrift" in quoted
