"""`mcp-llm demo`: a real server process spoken to as a host would, and what to paste into one."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_demo_walks_through_a_host_s_calls_without_a_key(run: Run, home: Path) -> None:
    done = run("demo", "--json", "say hi")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    started, tools, models, answer = data["steps"]
    assert started == {"step": "started", "server": "mcp-llm 0.1.0", "protocol": "2026-07-28", "era": "stateless"}
    assert {"generate", "list_models"} <= set(tools["tools"])
    assert models["default"] == "demo:demo"
    assert answer["structured"]["response"].endswith("It was given 2 words: say hi")
    assert f"run {answer['structured']['run_id']}" in answer["text"]

    pastes = {one["id"]: one["paste"] for one in data["hosts"]}
    entry = json.loads(pastes["cursor"])["mcpServers"]["mcp-llm"]
    assert json.loads(pastes["vscode"])["servers"]["mcp-llm"] == {"type": "stdio", **entry}
    assert tomllib.loads(pastes["codex"])["mcp_servers"]["mcp-llm"] == entry
    assert Path(entry["command"]).is_absolute()
    assert entry["env"] == {"MCP_LLM_HOME": str(home)}


def test_the_steps_are_told_up_to_the_one_that_fails(run: Run) -> None:
    done = run("demo", MCP_LLM_MODEL="openai:gpt-x")
    lines = done.stdout.splitlines()
    assert [line[:2] for line in lines[:4]] == ["1.", "2.", "3.", "4."]
    assert lines[3].startswith("4. generate failed: OPENAI_API_KEY is not set")
    assert lines[3].endswith("The server itself works; `mcp-llm doctor --check` says what to mend.")
    assert any(line.startswith("To use it from a host: mcp-llm install") for line in lines)
    assert lines[0] == "1. server started: mcp-llm 0.1.0, protocol 2026-07-28 (stateless era)"
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    data = json.loads(run("demo", "--json", MCP_LLM_MODEL="openai:gpt-x").stdout)
    assert ("OPENAI_API_KEY is not set" in data["error"], len(data["steps"]), len(data["hosts"])) == (True, 3, 8)
