"""Values that no argument was made for, as every argument of every tool: a sentence comes, never a crash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from abuse.calling import calling, said
from faults.replies import ok

from mcp_llm.server.tools import PACKS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

ODD: Final[list[Any]] = [
    *(None, True, -1, 2**70, -(2**70), 10**400, 1e308, float("nan"), float("inf"), "-1", "1e999"),
    *(
        "",
        "\ud800",
        "a\0b",
        "\u202e\u200b",
        "x" * 100_000,
        "../../etc/passwd",
        "http://169.254.169.254/",
        "${x}",
        "%s%n",
    ),
    *(
        [],
        [[]],
        [None],
        [2**70],
        {},
        {"": None},
        {"$ref": "#"},
        {"a": {"b": [1] * 10}},
        {"_meta": {"progressToken": 1}},
    ),
]
PLAIN: Final[dict[str, dict[str, Any]]] = {
    "generate": {"prompt": "hi"},
    "compare_models": {"prompt": "hi", "models": ["acme:m", "acme:n"]},
    "run_agent": {"prompt": "hi", "servers": []},
    "runs": {"action": "list"},
    "run_workflow": {"workflow": "name: x\ntasks: []"},
    "embed": {"input": "x"},
    "generate_image": {"prompt": "x"},
    "generate_video": {"prompt": "x"},
    "transcribe": {"file": "x"},
    "speak": {"text": "x"},
}
QUICK: Final = {"connect": 1, "first_byte": 1, "idle": 1, "total": 3}


@pytest.mark.parametrize("name", [tool for pack in PACKS.values() for tool in pack])
async def test_no_value_of_any_type_crashes_a_tool_or_says_too_much(home: Path, name: str) -> None:
    async with calling(home, [ok("openai", stream=True)], timeouts=QUICK) as caller:
        (tool,) = [tool for tool in (await caller.client.list_tools()).tools if tool.name == name]
        names = [*tool.input_schema["properties"], "_meta", "self", "cls", "run", "given", "model_config"]
        for argument in names:
            for value in ODD:
                given = {**PLAIN.get(name, {}), argument: value}
                if "wait_s" in names and argument != "wait_s":
                    given["wait_s"] = 2
                result = await caller.call(name, given)  # what leaks or crashes is found there
                json.dumps(result.structured_content, allow_nan=False)
                assert said(result).encode()
                assert not result.is_error or len(said(result)) < 1500, (argument, str(value)[:50])


async def test_what_looks_alike_is_another_model_and_no_providers_key_goes_to_it(home: Path) -> None:
    async with calling(home, [ok("openai", stream=True)]) as caller:
        for look in ("\u0430cme:m", "acme\uff1am", "acme\u200b:m", "ACME\u2024:m", "ac\u00adme:m", "\uff41cme:m"):
            result = await caller.call("generate", {"prompt": "hi", "model": look})
            assert result.is_error
            assert "no provider" in said(result)
        assert [request.method for request in caller.upstream.requests if request.method != "GET"] == []


async def test_meta_of_a_call_is_no_argument(home: Path) -> None:
    meta: Any = {"model": "openai:gpt-6", "prompt": "other", "api_key": "k", "mcp-llm/trace": {"depth": 99}, "": 1}
    async with calling(home, [ok("openai", stream=True)]) as caller:
        result: Any = await caller.client.call_tool("generate", {"prompt": "hi"}, meta=meta)
        assert not result.is_error
        (body,) = caller.bodies()
    assert (body["model"], body["messages"]) == ("m", [{"role": "user", "content": "hi"}])
    assert body.keys() == {"model", "messages", "stream", "stream_options"}
