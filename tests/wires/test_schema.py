"""JSON Schemas as the vendors take them: what the transforms promise, on examples and on generated schemas."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcp_llm.errors import InvalidInput, Unsupported
from mcp_llm.wires.schema import inline_refs, instruction, to_closed, to_plain, to_strict, without_nulls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Schema = dict[str, Any]

TREE: Schema = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
    "required": ["name"],
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {"up": {"$ref": "#"}, "next": {"$ref": "#/$defs/Node"}, "tag": {"$ref": "#/$defs/Tag"}},
        },
        "Tag": {"enum": ["a", "b"]},
    },
}

NAMES = ("a", "b")
DEFINED = ("X", "Y")
leaves: st.SearchStrategy[Schema] = st.one_of(
    st.sampled_from(["string", "integer", "boolean", "null"]).map(lambda kind: {"type": kind}),
    st.just({"type": ["string", "null"]}),
    st.lists(st.sampled_from(["a", "b", 1, None]), min_size=1, max_size=3, unique=True).map(
        lambda values: {"enum": values}
    ),
    st.sampled_from(["a", 1]).map(lambda value: {"const": value}),
    st.sampled_from(DEFINED).map(lambda name: {"$ref": f"#/$defs/{name}", "description": "x"}),
    st.just({"$ref": "#"}),
)


def _object(properties: Schema, required: list[str], closed: bool) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = [name for name in required if name in properties]
    return {**schema, "additionalProperties": False} if closed else schema


def objects(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    properties = st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=2)
    return st.builds(_object, properties, st.lists(st.sampled_from(NAMES), unique=True), st.booleans())


nodes = st.recursive(
    leaves,
    lambda inner: (
        objects(inner)
        | inner.map(lambda item: {"type": "array", "items": item})
        | st.lists(inner, min_size=1, max_size=2).map(lambda some: {"anyOf": some})
    ),
    max_leaves=6,
)
schemas = st.builds(lambda root, x, y: {**root, "$defs": {"X": x, "Y": y}}, objects(nodes), nodes, nodes)
values = st.recursive(
    st.sampled_from(["a", "b", "z", 1, True, None]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from((*NAMES, "c")), inner, max_size=3),
    max_leaves=6,
)
SAMPLES = {"string": "s", "integer": 7, "boolean": True, "null": None}


@st.composite
def answers(draw: st.DrawFn, node: Schema, root: Schema, depth: int = 0) -> object:
    """A value that satisfies a schema of ours, more often than not."""
    assume(depth < 8)
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        return draw(answers(root if name == "#" else root["$defs"][name], root, depth + 1))
    if "anyOf" in node:
        empty = {"type": "null"} in node["anyOf"] and depth > 3
        return None if empty else draw(answers(draw(st.sampled_from(node["anyOf"])), root, depth + 1))
    if "enum" in node or "const" in node:
        return draw(st.sampled_from(node.get("enum", [node.get("const")])))
    kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
    kind = "null" if "null" in kinds and depth > 3 else draw(st.sampled_from(kinds))
    if kind == "array":
        return draw(st.lists(answers(node["items"], root, depth + 1), max_size=2))
    if kind == "object":
        optional = [name for name in node["properties"] if name not in node.get("required", ())]
        left_out = draw(st.sets(st.sampled_from(optional))) if optional else set()
        named = {name: child for name, child in node["properties"].items() if name not in left_out}
        return {name: draw(answers(child, root, depth + 1)) for name, child in named.items()}
    return SAMPLES[kind]


transforms = st.sampled_from([inline_refs, to_strict, to_closed, to_plain])


def is_valid(value: object, schema: Schema) -> bool:
    try:
        return jsonschema.Draft202012Validator(schema).is_valid(value)
    except RecursionError:  # a reference that leads to itself, which our generator makes and nobody means
        assume(False)
        raise


def parts_of(schema: object) -> Iterator[Schema]:
    """Every object in a schema, data included: our generated data hold none."""
    if isinstance(schema, dict):
        yield schema
        for child in schema.values():
            yield from parts_of(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from parts_of(child)


@given(schemas, st.data())
def test_inlining_changes_nothing_about_what_is_valid(schema: Schema, data: st.DataObject) -> None:
    value = data.draw(answers(schema, schema) | values)
    assert is_valid(value, inline_refs(schema)) == is_valid(value, schema)


@given(schemas, st.data())
def test_the_plain_form_admits_the_same_values(schema: Schema, data: st.DataObject) -> None:
    value = data.draw(answers(schema, schema) | values)
    assert is_valid(value, to_plain(schema)) == is_valid(value, schema)


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
