"""The built-in demo: offline, the same every time, plainly no model, and able to stand in wherever one is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from faults.asking import ask
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.llm.backends.demo import NOTICE
from mcp_llm.llm.backends.example import example
from mcp_llm.types.chat import ToolSpec
from mcp_llm.types.message import ToolResult, user

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio

LOOK = ToolSpec(name="look", parameters={"type": "object", "properties": {"at": {"type": "string"}}})

simple = st.one_of(
    st.just({"type": "string"}),
    st.integers(0, 20).map(lambda low: {"type": "string", "minLength": low, "maxLength": low + 3}),
    st.integers(-50, 50).map(lambda low: {"type": "integer", "minimum": low, "maximum": low + 5}),
    st.integers(-50, 50).map(lambda low: {"type": "number", "exclusiveMinimum": low, "maximum": low + 1}),
    st.integers(-50, 50).map(lambda low: {"type": "integer", "exclusiveMinimum": low}),
    st.integers(-50, 50).map(lambda high: {"type": "integer", "maximum": high}),
    st.integers(-50, 50).map(lambda high: {"type": "integer", "exclusiveMaximum": high}),
    st.integers(-50, 50).map(lambda high: {"type": "number", "exclusiveMaximum": high}),
    st.integers(1, 9).map(lambda step: {"type": "integer", "multipleOf": step, "minimum": 10}),
    st.sampled_from(["boolean", "null", "integer", "number"]).map(lambda kind: {"type": kind}),
    st.lists(st.integers() | st.text(max_size=5) | st.booleans(), min_size=1, max_size=3).map(
        lambda one: {"enum": one}
    ),
    (st.integers() | st.text(max_size=5)).map(lambda value: {"const": value}),
)


def grown(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.text("abcde", min_size=1, max_size=3)

    def table(properties: dict[str, Any], required: bool) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        return {**made, "required": sorted(properties)} if required else made

    return st.one_of(
        st.builds(table, st.dictionaries(names, inner, max_size=4), st.booleans()),
        st.builds(lambda items, low: {"type": "array", "items": items, "minItems": low}, inner, st.integers(0, 3)),
        st.builds(lambda items: {"type": "array", "items": items, "maxItems": 0}, inner),
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
    )


@given(st.recursive(simple, grown, max_leaves=8))
def test_an_example_satisfies_its_schema(schema: dict[str, Any]) -> None:
    jsonschema.validate(example(schema), schema)
    reference = {"$ref": "#/$defs/one"}
    pair = {"type": "array", "prefixItems": [reference, reference], "minItems": 2, "$defs": {"one": schema}}
    jsonschema.validate(example(pair), pair)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "demo"),
        (True, None),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"properties": {"a": {"type": "boolean"}}}, {"a": True}),
        ({"type": "object", "required": ["x"]}, {"x": "demo"}),
        ({"default": {"a": 1}}, {"a": 1}),
        ({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, {"a": 1, "b": 2}),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}]}, [1, 2]),
        ({"$defs": {"a/b": {"const": 7}}, "$ref": "#/$defs/a~1b"}, 7),
        ({"$ref": "#/nowhere"}, "demo"),
    ],
)
def test_an_example_of_each_kind(schema: Any, value: Any) -> None:
    assert example(schema) == value


def test_a_schema_that_holds_itself_ends() -> None:
    node = {
        "type": "object",
        "properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}},
        "required": ["value"],
    }
    value = example(node)
    jsonschema.validate(value, node)
    assert len(json.dumps(value)) < 2000


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 10**12},
        {"type": "array", "minItems": 999, "items": {"type": "array", "minItems": 999, "items": {"type": "array"}}},
        {"type": "string", "minLength": 10**12},
        {
            "type": "object",
            "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}},
            "required": ["left", "right"],
        },
    ],
)
def test_a_schema_that_asks_for_more_than_there_is_room_for_is_cut_short(schema: dict[str, Any]) -> None:
    assert len(json.dumps(example(schema))) < 2_000_000


async def test_it_answers_without_a_key_and_says_what_it_is(asking: Asking) -> None:
    async with asking.open() as service:
        first = await ask(service, "demo", prompt="Say hello")
        second = await ask(service, "demo", prompt="Say hello")
        by_default = await ask(service)
    assert first.response == second.response == f"{NOTICE} It was given 2 words: Say hello"
    assert (first.provider, first.cost.usd, first.finish_reason) == ("demo", 0.0, "stop")
    assert first.usage.estimated
    assert by_default.provider == "demo"


async def test_it_fills_a_schema_calls_tools_and_reports_results(asking: Asking) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}
    async with asking.open() as service:
        shaped = await ask(service, "demo", json_schema=schema)
        called = await ask(service, "demo", prompt="please look around", tools=[LOOK])
        told = await ask(service, "demo", prompt='look with {"at": "the {sea}"} or {"at": 1}', tools=[LOOK])
        other = await ask(service, "demo", prompt='look {"where": 1}', tools=[LOOK])
        not_called = await ask(service, "demo", prompt="overlook it", tools=[LOOK])
        forced = await ask(service, "demo", tools=[LOOK], tool_choice="required")
        done = await ask(service, "demo", prompt="", messages=[user(ToolResult("1", "look", ()))], tools=[LOOK])
    assert shaped.parsed == {"n": 3}
    assert called.tool_calls is not None
    assert [(call.name, call.arguments) for call in called.tool_calls] == [("look", {"at": "please look around"})]
    assert called.finish_reason == "tool_calls"
    assert told.tool_calls is not None
    assert told.tool_calls[0].arguments == {"at": "the {sea}"}
    assert other.tool_calls is not None
    assert other.tool_calls[0].arguments == {"at": 'look {"where": 1}'}
    assert not_called.tool_calls is None
    assert forced.tool_calls is not None
    assert (done.tool_calls, done.response) == (None, f"{NOTICE} look said: ")


async def test_it_obeys_a_token_limit_and_stop_words(asking: Asking) -> None:
    async with asking.open() as service:
        short = await ask(service, "demo", max_tokens=2)
        stopped = await ask(service, "demo", prompt="one two three", stop=["two"])
    assert (short.finish_reason, len(short.response.split())) == ("length", 2)
    assert stopped.response.endswith("one ")
