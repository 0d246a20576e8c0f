"""MCP servers measured from outside: CPU of the whole process per call, and the time from start to the tool list."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from run import Row

HERE = Path(__file__).resolve().parent
KEY = "BENCH_API_KEY"
Json = dict[str, Any]


class Client:
    """An MCP client of prebuilt lines over a server's pipes."""

    def __init__(self, command: list[str], env: dict[str, str], folder: str) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **env}, cwd=folder
        )
        os.sched_setaffinity(self.process.pid, {0})
        self.number = 0

    def start(self) -> list[Json]:
        """Initialize, and the list of tools."""
        about = {"name": "bench", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about})
        self._write([{"jsonrpc": "2.0", "method": "notifications/initialized"}])
        tools: list[Json] = self.ask("tools/list", {})["tools"]
        return tools

    def ask(self, method: str, params: Json) -> Json:
        """One request, one result."""
        return self.many(method, params, 1, 1)[0]

    def many(self, method: str, params: Json, count: int, at_once: int) -> list[Json]:
        """`count` requests with `at_once` in flight; the results as they come."""
        results: list[Json] = []
        sent = min(at_once, count)
        self._write([self._request(method, params) for _ in range(sent)])
        while len(results) < count:
            assert self.process.stdout is not None
            reply = json.loads(self.process.stdout.readline())
            if "id" not in reply:
                continue
            if "error" in reply or reply["result"].get("isError"):
                raise RuntimeError(f"{method}: {reply}")
            results.append(reply["result"])
            if sent < count:
                self._write([self._request(method, params)])
                sent += 1
        return results

    def cpu(self) -> float:
        """Microseconds that all threads of the server have used."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e3

    def memory(self) -> float:
        """Resident megabytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def close(self) -> None:
        """End of input; a server that stays is ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def _request(self, method: str, params: Json) -> Json:
        self.number += 1
        return {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}

    def _write(self, messages: list[Json]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
        self.process.stdin.flush()


@contextmanager
def running(command: list[str], base: str) -> Iterator[Client]:
    """A server with a home of its own, whose provider `bench` is the upstream."""
    with tempfile.TemporaryDirectory() as home:
        Path(home, "mcp_llm.toml").write_text(
            f'discover = false\n[providers.bench]\nbase_url = "{base}"\nwires = {{ chat = "openai" }}\n'
            f'auth = {{ env = ["{KEY}"], headers = {{ Authorization = "Bearer {{key}}" }} }}\n',
            encoding="utf-8",
        )
        client = Client(command, {"MCP_LLM_HOME": home, KEY: "bench-key-0123456789"}, home)
        try:
            yield client
        finally:
            client.close()


def _per_call(command: list[str], base: str, params: Json, at_once: int) -> float:
    count = {1: 200}.get(at_once, 640)
    with running(command, base) as client:
        client.start()
        client.many("tools/call", params, 40, at_once)
        before = client.cpu()
        client.many("tools/call", params, count, at_once)
        return (client.cpu() - before) / count


def _pairs(rounds: int, one: Any, other: Any) -> tuple[list[float], list[float]]:
    """Both measured once a round, in turn."""
    mine: list[float] = []
    floor: list[float] = []
    for number in range(rounds):
        for kept, measure in ((mine, one), (floor, other))[:: -1 if number % 2 else 1]:
            kept.append(measure())
    return mine, floor


def _row(work: str, mine: list[float], floor: list[float], goal: float) -> Row:
    got = statistics.median(a / b for a, b in zip(mine, floor, strict=True))
    return work, statistics.median(mine), statistics.median(floor), f"{got:.2f}", f"<= {goal}", got <= goal


def calls(base: str, rounds: int) -> Iterator[Row]:
    """A trivial tool over our pipes against the SDK's, and `generate` against a bare call in an SDK server."""
    sdk = [sys.executable, str(HERE / "servers" / "sdk.py"), "4", base]
    echo = [sys.executable, str(HERE / "servers" / "ours_echo.py"), "4", base]
    ours = [sys.executable, "-m", "mcp_llm"]
    trivial = {"name": "echo", "arguments": {"text": "hello"}}
    generate = {"name": "generate", "arguments": {"prompt": "Say something. " * 16, "model": "bench:bench-1"}}
    for at_once in (1, 32):
        one = (lambda: _per_call(echo, base, trivial, at_once), lambda: _per_call(sdk, base, trivial, at_once))  # noqa: B023
        yield _row(f"tools/call over stdio, {at_once} in flight, us", *_pairs(rounds, *one), goal=0.6)
        two = (lambda: _per_call(ours, base, generate, at_once), lambda: _per_call(sdk, base, generate, at_once))  # noqa: B023
        yield _row(f"generate over stdio, {at_once} in flight, us", *_pairs(rounds, *two), goal=0.8)


def _cold(command: list[str], base: str) -> tuple[float, float, int]:
    started = time.perf_counter()
    with running(command, base) as client:
        tools = client.start()
        return (time.perf_counter() - started) * 1e3, client.memory(), len(tools)


def _run(command: list[str]) -> float:
    """Milliseconds of CPU of a process from start to end."""
    before = os.times()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    return (after.children_user + after.children_system - before.children_user - before.children_system) * 1e3


def starts(base: str, rounds: int) -> Iterator[Row]:
    """Start to tools/list against an SDK server with as many tools; imports and the command line by themselves."""
    ours = [sys.executable, "-m", "mcp_llm"]
    _, mine, count = _cold(ours, base)
    sdk = [sys.executable, str(HERE / "servers" / "sdk.py"), str(max(count, 2)), base]
    _, theirs, _ = _cold(sdk, base)
    pair = _pairs(rounds, lambda: _cold(ours, base)[0], lambda: _cold(sdk, base)[0])
    yield _row(f"start to tools/list ({count} tools), ms", *pair, goal=1.05)
    yield "memory after tools/list, MB", mine, theirs, f"{mine - theirs:+.1f} MB", "<= +8 MB", mine - theirs <= 8
    bare = [sys.executable, "-c", "pass"]
    for words, command, goal in (
        ("import mcp_llm, ms of CPU", [sys.executable, "-c", "import mcp_llm"], 120),
        ("mcp-llm --help, ms of CPU", [sys.executable, "-m", "mcp_llm", "--help"], 150),
    ):
        took, empty = _pairs(rounds, lambda: _run(command), lambda: _run(bare))  # noqa: B023
        got = statistics.median(took)
        yield words, got, statistics.median(empty), f"{got:.0f} ms", f"<= {goal} ms", got <= goal
