"""Arguments as models write them: what is taken, what is refused, and in which words."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from mcp_llm.errors import ToolFailed
from mcp_llm.toolsets.base import Tool
from mcp_llm.toolsets.check import MOST_BYTES, arguments, parse
from mcp_llm.types.chat import ToolSpec

pytestmark = pytest.mark.anyio


def tool(properties: dict[str, Any], *required: str) -> Tool:
    schema = {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}
    return Tool(ToolSpec(name="look", parameters=schema))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("  ", {}),
        ("null", {}),
        ('{"a": 1}', {"a": 1}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ('{"a": "\\ud800x"}', {"a": "\ufffdx"}),
    ],
)
def test_what_models_write_for_an_object_is_read(text: str, value: dict[str, Any]) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1', "It ends too early"),
        ('{"a" 1}', "at character 5"),
        ("[1]", "not a list"),
        ("7", "not a number"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1' + "0" * 5000 + "}", "a number that is too long"),
        ("[" * 100_000, "levels"),
        ('{"a":' * 70 + "1" + "}" * 70, "deeper than 64"),
        ('{"a": "' + "x" * MOST_BYTES + '"}', "send less"),
    ],
)
def test_what_is_no_object_is_told(text: str, told: str) -> None:
    with pytest.raises(ToolFailed, match=told.replace("(", "\\(")) as raised:
        parse(text)
    assert len(str(raised.value)) < 500


async def test_arguments_that_fit_pass() -> None:
    assert await arguments('{"a": 1}', tool({"a": {"type": "integer"}}, "a")) == {"a": 1}


async def test_arguments_that_do_not_fit_are_told_with_what_the_tool_takes() -> None:
    with pytest.raises(ToolFailed) as raised:
        await arguments('{"b": 1}', tool({"a": {"type": "integer"}, "c": {}}, "a"))
    said = str(raised.value)
    assert said.startswith("The arguments of look do not fit its parameters, so it was not called:\n- ")
    assert "'a' is a required property" in said
    assert "It takes: a (required), c." in said


async def test_null_for_what_may_be_left_out_is_left_out() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": ["string", "null"]}}}
    look = tool({"a": {"type": "integer"}, "b": {"type": "string"}, "c": inner}, "a")
    given = '{"a": 1, "b": null, "c": {"x": null, "y": "z"}}'
    assert await arguments(given, look) == {"a": 1, "c": {"y": "z"}}
    nullable = tool({"b": {"type": ["string", "null"]}})
    assert await arguments('{"b": null}', nullable) == {"b": None}
    with pytest.raises(ToolFailed):
        await arguments('{"a": null}', look)


async def test_a_costly_schema_is_given_up_in_time() -> None:
    defs: dict[str, Any] = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2} for n in range(1, 26)}
    defs["d0"] = {"type": "integer", "minimum": 10**9}
    bomb = Tool(ToolSpec(name="look", parameters={"properties": {"a": {"$ref": "#/$defs/d25"}}, "$defs": defs}))
    slow = tool({"a": {"type": "string", "pattern": "^(a+)+$"}})
    await arguments("{}", bomb)  # the first use loads the validator
    started = time.monotonic()
    assert await arguments('{"a": 1}', bomb) == {"a": 1}
    assert await arguments(json.dumps({"a": "a" * 40 + "!"}), slow) == {"a": "a" * 40 + "!"}
    assert time.monotonic() - started < 2
