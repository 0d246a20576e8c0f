"""The server as hosts run it: a real subprocess over real pipes, ended in every way a host may end it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


class Silent:
    """A provider on loopback that takes requests and never answers; knows when its callers hang up."""

    def __init__(self) -> None:
        self.opened = threading.Semaphore(0)
        self.closed = threading.Semaphore(0)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with connection:
            seen = b""
            while data := _receive(connection):
                if b"\r\n\r\n" in seen:
                    continue
                seen += data
                if b"\r\n\r\n" in seen:
                    self.opened.release()
        self.closed.release()

    def close(self) -> None:
        self._socket.close()


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Silent]:
    server = Silent()
    providers = tmp_path / "providers"
    providers.mkdir()
    (providers / "silent.toml").write_text(f'base_url = "{server.url}/v1"\n[auth]\nrequired = false\n')
    yield server
    server.close()


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0", **more}


class Process:
    """The server and the raw lines to and from it."""

    def __init__(self, home: Path, *arguments: str, **more: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, *(arguments or ("-m", "mcp_llm"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(home, **more),
            cwd=home,
        )
        self.send(INITIALIZE)
        self.first = self.receive()
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message: dict[str, Any]) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(message).encode() + b"\n")
        self.popen.stdin.flush()

    def raw(self, data: bytes) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(data)
        self.popen.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        value: dict[str, Any] = json.loads(line)
        return value

    def call(self, number: int, name: str, **arguments: Any) -> None:
        params = {"name": name, "arguments": arguments, "_meta": {"progressToken": number}}
        self.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})

    def end(self) -> tuple[int, bytes, bytes]:
        out, err = self.popen.communicate(timeout=20)
        return self.popen.returncode, out, err


def ledger(home: Path) -> list[tuple[str, str]]:
    import sqlite3

    with closing(sqlite3.connect(home / "state.db")) as connection, connection:
        return connection.execute("SELECT provider, outcome FROM ledger ORDER BY ts").fetchall()


@pytest.mark.parametrize("how", ["EOF", "SIGTERM", "SIGINT"])
def test_the_server_is_gone_within_two_seconds_with_calls_in_flight(tmp_path: Path, silent: Silent, how: str) -> None:
    process = Process(tmp_path)
    for number in range(1, 6):
        process.call(number, "generate", prompt="hi", model="silent:x")
    for _ in range(5):
        assert silent.opened.acquire(timeout=20)
    started = time.monotonic()
    if how == "EOF":
        assert process.popen.stdin is not None
        process.popen.stdin.close()
        process.popen.stdin = None
    else:
        process.popen.send_signal(getattr(signal, how))
    code, out, err = process.end()
    took = time.monotonic() - started
    for _ in range(5):
        assert silent.closed.acquire(timeout=5)
    print(f"{how}: gone after {took:.2f} s")
    assert (code, took < 2) == (0, True), err
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in out.splitlines())
    assert ledger(tmp_path) == [("silent", "cancelled")] * 5


def test_a_cancelled_call_closes_its_upstream_connection_and_no_other(tmp_path: Path, silent: Silent) -> None:
    process = Process(tmp_path)
    process.call(1, "generate", prompt="hi", model="silent:x")
    process.call(2, "generate", prompt="hi", model="silent:x")
    assert silent.opened.acquire(timeout=20)
    assert silent.opened.acquire(timeout=20)
    process.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
    assert silent.closed.acquire(timeout=5)
    assert not silent.closed.acquire(blocking=False)
    process.popen.send_signal(signal.SIGTERM)
    assert process.end()[0] == 0


def test_whatever_a_library_prints_stdout_holds_nothing_but_protocol(tmp_path: Path) -> None:
    noisy = (
        "import sys, os; from mcp_llm import cli; from mcp_llm.server import stdio; "
        "claim = stdio.claim; "
        "stdio.claim = lambda: [claim(), print('noise', flush=True), os.write(1, b'raw noise\\n')][0]; "
        "sys.argv = ['mcp-llm']; cli.main(); print('late noise')"
    )
    process = Process(tmp_path, "-c", noisy)
    process.call(1, "generate", prompt="hello", model="demo")
    answer = process.receive()
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    process.popen.stdin = None
    code, out, err = process.end()
    assert (code, out) == (0, b"")
    assert b"noise" in err
    assert b"raw noise" in err
    assert answer["result"]["structuredContent"]["provider"] == "demo"


def test_garbage_lines_cost_a_parse_error_and_not_the_connection(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.raw(b"this is no JSON\n\n\xff\xfe{}\n" + b'{"jsonrpc": "2.0"}\n')
    process.call(7, "generate", prompt="still \u2028 there?", model="demo")
    answer = process.receive()
    while answer.get("id") != 7:
        answer = process.receive()
    process.popen.send_signal(signal.SIGTERM)
    process.end()
    assert "still \u2028 there?" in answer["result"]["content"][0]["text"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdk_client_lists_and_calls_the_tools_in_both_eras(tmp_path: Path, mode: Any) -> None:
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_llm"], env=environment(tmp_path), cwd=tmp_path
    )
    with anyio.fail_after(60):
        async with Client(parameters, mode=mode) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            answer = await client.call_tool("generate", {"prompt": "ping"})
            models = await client.call_tool("list-models", {})
    assert tools == ["generate", "compare_models", "run_agent", "runs", "list_models"]
    assert answer.structured_content is not None
    assert answer.structured_content["response"] in answer.content[0].text  # type: ignore[union-attr]  # a text block
    assert answer.structured_content["run_id"] in answer.content[0].text  # type: ignore[union-attr]  # a text block
    assert models.structured_content is not None
    assert models.structured_content["default"] == "demo:demo"


def test_results_and_ledger_survive_a_kill(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.call(1, "generate", prompt="remember me", model="demo", thread="new")
    answer = process.receive()["result"]["structuredContent"]
    process.popen.kill()
    process.end()
    again = Process(tmp_path)
    again.call(1, "generate", prompt="and now?", model="demo", thread=answer["thread"])
    second = again.receive()["result"]
    again.popen.send_signal(signal.SIGTERM)
    again.end()
    assert second["structuredContent"]["thread"] == answer["thread"]
    assert second["structuredContent"]["usage"]["input"] > answer["usage"]["input"]
