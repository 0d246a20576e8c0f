"""`run_agent(config, on_event)` in Python: every key, and an end that is told exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agent.scripted import names, write_agent

import mcp_llm
from mcp_llm import config as configuration
from mcp_llm.agent.config import read
from mcp_llm.agent.task import Limits, Task
from mcp_llm.background import opened
from mcp_llm.errors import InvalidInput
from mcp_llm.prompts import Prompts

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = configuration.load(
    environment={},
    overrides={"servers": {"web": {"url": "https://tools.example/mcp"}, "files": {"command": "files"}}},
).settings


@pytest.mark.parametrize(
    ("config", "task"),
    [
        ({}, Task(prompt="x")),
        (
            {"model": "m", "max_tokens": 5, "instruction": "i", "extra_context": "c", "persona": "p", "unknown": 1},
            Task(prompt="x", model="m", max_tokens=5, instruction="i", extra_context="c", persona="p"),
        ),
        ({"provider": "anthropic"}, Task(prompt="x", model="anthropic:balanced")),
        ({"provider": "anthropic", "model": "m"}, Task(prompt="x", model="anthropic:m")),
        ({"disable_mcp": True, "servers": ["files"]}, Task(prompt="x", servers=())),
        ({"mcp_server_url": "https://tools.example/mcp"}, Task(prompt="x", servers=("web",))),
        ({"tools": ["read_*"], "servers": ["files"]}, Task(prompt="x", tools=("read_*",), servers=("files",))),
        ({"tools": "a, b"}, Task(prompt="x", tools=("a", "b"))),
        ({"continue_from": 1730000000000}, Task(prompt="x", continue_from="1730000000000")),
        ({"persona": "critic"}, Task(prompt="x", persona="critic", agent="critic")),
        ({"budget_usd": 1, "max_turns": 2}, Task(prompt="x", budget=Limits(usd=1, turns=2))),
    ],
)
def test_a_config_is_a_task(home: Path, config: dict[str, Any], task: Task) -> None:
    write_agent(home, "critic", "")
    assert read({"prompt": "x", **config}, SETTINGS, Prompts((home / "prompts",)))[0] == task


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"prompt": None}, "config needs `prompt`"),
        ({"mcp_server_url": "https://evil.example"}, "names no server of the settings"),
        ({"tools": [1]}, "`tools` has to be a list of names"),
        ({"max_tokens": "many"}, "`max_tokens`"),
        ({"agent_id": "../x"}, "`agent_id` has to be letters"),
    ],
)
def test_a_wrong_config_is_told(config: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read({"prompt": "x", **config}, SETTINGS, Prompts(()))


@pytest.mark.anyio
async def test_an_agent_from_python_has_functions_as_tools_and_its_own_id(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_LLM_DISCOVER", "0")

    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    events: list[dict[str, Any]] = []
    config = {"prompt": "please add", "model": "demo", "functions": [add], "agent_id": "1730000000000"}
    try:
        said = await mcp_llm.run_agent(config, events.append)
        more: list[dict[str, Any]] = []
        await mcp_llm.run_agent({"prompt": "and?", "model": "demo", "continue_from": "1730000000000"}, more.append)
        wrong: list[dict[str, Any]] = []
        with pytest.raises(InvalidInput):
            await mcp_llm.run_agent({"prompt": "x", "agent": "nobody"}, wrong.append)
    finally:
        await opened.close()
    assert said.endswith("add said: 2")
    assert {event["run_id"] for event in events} == {"1730000000000"}
    assert names(events) == [
        *("start", "model_start", "model_end", "tool_start", "tool_end", "model_start", "model_end", "finish"),
    ]
    assert more[0]["continued"] == "1730000000000"
    assert names(wrong) == ["error"]
