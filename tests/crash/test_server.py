"""A server, one of whose syncs or writes fails while it serves: every call is answered, and what it told is kept."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from mcp_llm.store.sqlite import Store

from . import failing
from .failing import Fault

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def server(home: Path, folder: Path, fault: Fault | None) -> StdioServerParameters:
    environment = {**os.environ, "MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0"}
    command = [*(failing.tracing(fault, home, folder / "trace") if fault else ()), sys.executable, "-m", "mcp_llm"]
    script = f'exec "$@" 2>>{folder}/log'
    return StdioServerParameters(command="sh", args=["-c", script, "sh", *command], env=environment)


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What it gives, or under `error` what it says against it."""
    found = await client.call_tool(tool, arguments)
    if found.is_error:
        return {"error": "\n".join(getattr(one, "text", "") for one in found.content)}
    return found.structured_content or {}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("sync", "EIO", 5),
        Fault("sync", "EIO", 9),
        Fault("sync", "ENOSPC", 12, ever=True),
        Fault("write", "EIO", 60),
        Fault("truncate", "EIO", 1),
    ],
    ids=str,
)
async def test_every_call_is_answered_and_what_was_told_is_kept(home: Path, tmp_path: Path, fault: Fault) -> None:
    failing.needs_strace()
    answers: list[dict[str, Any]] = []
    with anyio.fail_after(120):
        async with Client(server(home, tmp_path, fault)) as client:
            for _ in range(4):
                answers.append(await ask(client, "run_agent", prompt="go", model="demo"))
                answers.append(await ask(client, "generate", prompt="hello there", model="demo"))
            listed = await ask(client, "runs", action="list")
        async with Client(server(home, tmp_path, None)) as client:
            later = await ask(client, "run_agent", prompt="go", model="demo")
            after = await ask(client, "runs", action="list")
    assert "(INJECTED)" in text(tmp_path / "trace")
    assert "Traceback" not in text(tmp_path / "log")
    words = [one["error"] for one in answers if "error" in one]
    assert [said for said in words if "disk" not in said] == []
    problems = " ".join(listed.get("problems", ()))
    assert problems.startswith("The disk that holds the state")  # also where every call went well
    assert problems in " ".join(text(tmp_path / "log").replace("mcp-llm: ", "").split("\n"))
    told = [one["run_id"] for one in [*answers[::2], later] if "error" not in one]
    kept = {one["run_id"]: one["status"] for one in after["runs"]}
    if "kept in memory" in problems:
        told = told[-1:]
    assert {run_id: kept.get(run_id) for run_id in told} == dict.fromkeys(told, "finished")
    assert "problems" not in after
    store = Store.open(home / "state.db")
    assert await store.query("PRAGMA integrity_check") == [("ok",)]
    assert await store.query("SELECT run FROM run_events GROUP BY run HAVING count(*) <> max(seq) + 1") == []
    store.close()
