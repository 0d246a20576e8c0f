"""Python functions as tools: what a model is told about them, what they get, what it gets."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import anyio
import pytest
from pydantic import BaseModel, Field

from mcp_llm.errors import ConfigError, ToolFailed
from mcp_llm.toolsets.functions import Function, Functions
from mcp_llm.types.message import Media, Text, ToolResult

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    name: str
    at: tuple[float, float] | None = None


@dataclass
class Found:
    names: list[str]
    count: int


def search(
    words: Annotated[str, Field(description="what to look for")],
    limit: int = Field(default=3, ge=1, description="how many"),
    kind: Literal["a", "b"] = "a",
    near: Place | None = None,
) -> Found:
    """Find things.

    In the usual places.
    """
    return Found([f"{words} {kind} {near.name if near else '-'}"] * limit, limit)


async def test_a_function_that_exits_has_failed_and_ends_nothing_else() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    result = await Functions([leave]).call("leave", {}, call_id="1")
    assert (result.is_error, result.text) == (True, "leave failed: SystemExit: 3")


async def test_the_signature_is_the_schema_and_the_docstring_the_description() -> None:
    [tool] = await Functions([search]).list()
    assert tool.spec.description == "Find things.\n\nIn the usual places."
    assert (tool.name, tool.server, tool.policy, len(tool.fingerprint)) == ("search", None, "allow", 64)
    schema = tool.spec.parameters
    assert schema["required"] == ["words"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["words"] == {"type": "string", "description": "what to look for"}
    assert schema["properties"]["limit"] == {"type": "integer", "minimum": 1, "default": 3, "description": "how many"}
    assert schema["properties"]["kind"] == {"type": "string", "enum": ["a", "b"], "default": "a"}
    assert set(schema["$defs"]) == {"Place"}


async def test_a_call_gets_real_values_and_gives_json() -> None:
    result = await Functions([search]).call("search", {"words": "x", "limit": 1, "near": {"name": "Rome"}}, call_id="c")
    assert result == ToolResult("c", "search", (Text('{"names":["x a Rome"],"count":1}'),))
    assert (await Functions([search]).call("search", {"words": "x"})).text.endswith('"count":3}')


async def test_wrong_arguments_do_not_reach_the_function() -> None:
    calls: list[int] = []

    def count(n: int) -> str:
        calls.append(n)
        return "ok"

    tools = Functions([count])
    for arguments in ({}, {"n": "many"}, {"n": 1, "m": 2}):
        result = await tools.call("count", arguments)
        assert result.is_error
        assert "so it was not called" in result.text
        assert "https://" not in result.text
    assert calls == []


async def test_plain_functions_run_beside_the_loop() -> None:
    main = threading.get_ident()

    def slow() -> bool:
        time.sleep(0.1)
        return threading.get_ident() != main

    async def quick() -> str:
        return "quick"

    tools = Functions([slow, quick])
    results: list[str] = []

    async def ask(name: str) -> None:
        results.append((await tools.call(name, {})).text)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "slow")
        tasks.start_soon(ask, "quick")
    assert results == ["quick", "true"]


async def test_what_a_function_raises_is_a_result() -> None:
    def breaks() -> None:
        raise ValueError("no\nway " + "x" * 9000)

    def fails() -> None:
        raise ToolFailed("Give it a name.")

    tools = Functions([breaks, fails])
    broken = await tools.call("breaks", {})
    assert broken.is_error
    assert broken.text.startswith("breaks failed: ValueError: no\nway")
    assert len(broken.text) <= 2048
    assert await tools.call("fails", {}) == ToolResult("", "fails", (Text("Give it a name."),), is_error=True)
    assert (await tools.call("gone", {})).text == "There is no tool 'gone'. There are: breaks, fails."


async def test_parts_pass_as_they_are() -> None:
    picture = Media("image/png", data="aGk=")

    def draw() -> Media:
        return picture

    def both() -> list[Any]:
        return [Text("see"), picture]

    def nothing() -> None:
        return None

    def odd() -> Any:
        return float("nan")

    tools = Functions([draw, both, nothing, odd])
    assert (await tools.call("draw", {})).parts == (picture,)
    assert (await tools.call("both", {})).parts == (Text("see"), picture)
    assert (await tools.call("nothing", {})).text == "done"
    assert (await tools.call("odd", {})).text == "null"


async def test_names_hints_and_awkward_parameters_are_taken() -> None:
    def f(schema: str, model_config: int, _private: bool = True) -> str:
        return f"{schema} {model_config} {_private}"

    tools = Functions([Function(f, name="delete_it", title="Delete", destructive=True)])
    [tool] = await tools.list()
    assert (tool.name, tool.title, tool.policy) == ("delete_it", "Delete", "ask")
    assert list(tool.spec.parameters["properties"]) == ["schema", "model_config", "_private"]
    assert (await tools.call("delete_it", {"schema": "s", "model_config": 1})).text == "s 1 True"


def test_what_no_model_can_be_told_is_refused() -> None:
    class Odd:
        pass

    def many(*words: str) -> None: ...

    def loose(**words: str) -> None: ...

    def odd(thing: Odd) -> None: ...

    def same() -> None: ...

    for functions in ([many], [loose], [odd], [same, same]):
        with pytest.raises(ConfigError):
            Functions(functions)
