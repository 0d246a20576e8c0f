"""A call over stdio that is handed back, collected, and cut off by kill -9."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

from server.slowly import runs

pytestmark = pytest.mark.anyio


class Dripping(BaseHTTPRequestHandler):
    """A compatible provider that says a word and waits for the server's `go`."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self._say({"role": "assistant", "content": "half "}, None)
        self.server.go.wait(20)  # type: ignore[attr-defined]  # set by the fixture
        try:
            self._say({"content": "answer"}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            return

    def _say(self, delta: dict[str, Any], reason: str | None) -> None:
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        self.wfile.write(b"data: " + json.dumps({**chunk, "choices": choices}).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def dripping() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    server.daemon_threads = True
    server.go = threading.Event()  # type: ignore[attr-defined]  # what the handler waits for
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.go.set()  # type: ignore[attr-defined]  # nobody may wait on
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
async def test_over_stdio_a_run_is_collected_and_after_kill_9_it_is_interrupted_with_its_words(
    home: Path, dripping: Any
) -> None:
    (home / "providers").mkdir()
    (home / "providers" / "gate.toml").write_text(
        f'name = "Gate"\nbase_url = "http://127.0.0.1:{dripping.server_port}"\nopen = true\n\n'
        '[auth]\nrequired = false\nenv = "GATE_API_KEY"\nheaders = { Authorization = "Bearer {key}" }\n\n'
        '[wires]\nchat = "openai"\n'
    )
    environment = {**os.environ, "MCP_LLM_DISCOVER": "0"}
    command = f"echo $$ > {home / 'pid'}; exec {sys.executable} -m mcp_llm"
    parameters = StdioServerParameters(command="sh", args=["-c", command], env=environment)
    ask = {"prompt": "hi", "model": "gate:m", "wait_s": 1.5}
    with anyio.fail_after(60):
        async with Client(parameters) as client:
            lost = (await client.call_tool("generate", ask)).structured_content
            kept = (await client.call_tool("generate", ask)).structured_content
            assert lost is not None
            assert kept is not None
            assert (kept["status"], kept["partial"]) == ("running", "half ")
            dripping.go.set()
            done = await runs(client, "wait", kept["run_id"])
            await runs(client, "wait", lost["run_id"])
            dripping.go.clear()
            lost = (await client.call_tool("generate", ask)).structured_content
            assert lost is not None
            listed = (await runs(client, "list", status="running")).structured_content["runs"]
            assert [row["run_id"] for row in listed] == [lost["run_id"]]
            os.kill(int((home / "pid").read_text()), signal.SIGKILL)
        state = sqlite3.connect(home / "state.db")
        assert state.execute("SELECT status FROM runs WHERE id = ?", (lost["run_id"],)).fetchall() == [("running",)]
        with state:  # the lease's ten seconds, gone by at once
            state.execute("UPDATE runs SET expires = expires - 10000 WHERE id = ?", (lost["run_id"],))
        state.close()
        async with Client(parameters) as client:
            found = (await runs(client, "wait", lost["run_id"], wait_s=15)).structured_content
    assert done.structured_content["response"] == "half answer"
    assert (found["status"], found["partial"]) == ("interrupted", "half ")
