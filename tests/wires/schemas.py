"""JSON Schemas made at random, answers to them, and who is right about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
from hypothesis import assume
from hypothesis import strategies as st

from mcp_llm.wires.schema import inline_refs, to_closed, to_plain, to_strict

if TYPE_CHECKING:
    from collections.abc import Iterator

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
kinds = st.sampled_from(["string", "integer"]).map(lambda kind: {"type": [kind, "null"]})
put_together = st.builds(
    lambda whole, parts: {**whole, "allOf": parts},
    objects(kinds) | st.just({}),
    st.lists(objects(kinds) | st.just({"required": ["a"]}), min_size=1, max_size=2),
)
"""Objects whose keys are named in several places."""
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
