"""Two servers of one user: one is killed, and it is measured when the other goes on with its runs."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
from faults.replies import SSE, ok
from faults.server import FaultServer, Reply
from mcp import Client, StdioServerParameters

from mcp_llm.runs.lease import TTL_S

if TYPE_CHECKING:
    from pathlib import Path

RUNS = 4


async def taken_over(home: Path, folder: Path, rounds: int) -> tuple[list[float], int]:
    """(seconds from each kill to the first event of each run that the other server took up, requests that it cost).

    A round takes as long as the lease, which is the one that users have. `home` is MCP_LLM_HOME.
    """
    (home / "providers").mkdir()
    script = [Reply(headers=SSE, framing="chunked", hang=0)] * RUNS + [ok("openai", stream=True)] * RUNS
    taken: list[float] = []
    with FaultServer(script * rounds) as provider:
        (home / "providers" / "gate.toml").write_text(f'base_url = "{provider.url}"\n[auth]\nrequired = false\n')
        for _ in range(rounds):
            with anyio.fail_after(TTL_S + 60):
                taken += await one_round(home, folder)
        return taken, len(provider.requests)


async def one_round(home: Path, path: Path) -> list[float]:
    """Seconds from the kill to each run's first event of the other server's."""

    def server(name: str) -> StdioServerParameters:
        environment = {**os.environ, "MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0"}
        command = f"echo $$ > {path}/{name}; exec {sys.executable} -m mcp_llm"
        return StdioServerParameters(command="sh", args=["-c", command], env=environment)

    async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await client.call_tool(tool, arguments)
        assert result.structured_content is not None, result
        return dict(result.structured_content)

    async with Client(server("other")) as other:
        async with Client(server("killed")) as client:
            begun = [
                await ask(client, "run_agent", prompt="go", model="gate:m", servers=[], wait_s=0.2) for _ in range(RUNS)
            ]
            assert {one["status"] for one in begun} == {"running"}
            os.kill(int((path / "killed").read_text()), signal.SIGKILL)
            killed = time.time()
        ids = [one["run_id"] for one in begun]
        for run_id in ids:
            done = await ask(other, "runs", action="wait", run_id=run_id, wait_s=30)
            assert (done["status"], done["response"]) == ("finished", "Hello there")
        state = sqlite3.connect(home / "state.db")
        marks = ", ".join("?" * RUNS)
        sql = f"SELECT ts FROM run_events WHERE kind = 'resumed' AND run IN ({marks})"
        found = [row[0] / 1000 - killed for row in state.execute(sql, ids)]
        state.close()
    assert len(found) == RUNS
    return found
