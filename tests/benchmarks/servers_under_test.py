"""MCP servers measured from outside: CPU of the whole process per call, and the time from start to the tool list."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peers import PEERS
from table import Row, compared, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
KEY = "BENCH_API_KEY"
SENTENCE = "The quick brown fox jumps over the lazy dog. "
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


def _per_call(command: list[str], base: str, params: Json, at_once: int, share: float) -> float:
    count = max(at_once, round({1: 300}.get(at_once, 640) * share))
    with running(command, base) as client:
        client.start()
        client.many("tools/call", params, 40, at_once)
        before = client.cpu()
        results = client.many("tools/call", params, count, at_once)
        spent = client.cpu() - before
    assert all(said(result) for result in results)
    return spent / count


def said(result: Json) -> bool:
    """Whether a result holds what the echo or the upstream says."""
    return str(result["content"][0]["text"]).startswith(("hello", SENTENCE * 20))


def _rounds(rounds: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Everything measured once a round, in rotated order; its figures by round."""
    found: list[list[float]] = [[] for _ in measures]
    for number in range(rounds):
        for index in range(len(measures)):
            at = (index + number) % len(measures)
            found[at].append(measures[at]())
    return found


def calls(base: str, rounds: int, share: float) -> Iterator[Row]:
    """A trivial tool over our pipes against the SDK's, and `generate` against a bare call in an SDK server."""
    sdk = [sys.executable, str(HERE / "servers" / "sdk.py"), "4", base]
    echo = [sys.executable, str(HERE / "servers" / "ours_echo.py"), "4", base]
    ours = [sys.executable, "-m", "mcp_llm"]
    trivial = {"name": "echo", "arguments": {"text": "hello"}}
    asked = {"prompt": "Say something. " * 16, "model": "bench:bench-1"}
    generate, streamed = ({"name": name, "arguments": asked} for name in ("generate", "generate_streamed"))

    def cost(command: list[str], params: Json, at_once: int) -> Callable[[], float]:
        return lambda: _per_call(command, base, params, at_once, share)

    for at_once in (1, 32):
        mine, theirs = _rounds(rounds, cost(echo, trivial, at_once), cost(sdk, trivial, at_once))
        yield compared(f"tools/call over stdio, {at_once} at a time", "us", mine, theirs, 0.6)
        mine, whole, like = _rounds(
            rounds, cost(ours, generate, at_once), cost(sdk, generate, at_once), cost(sdk, streamed, at_once)
        )
        yield compared(f"generate over stdio, {at_once} at a time", "us", mine, whole, 0.8)
        yield compared("  floor streams as we do", "us", mine, like, 0.8)


def _cold(command: list[str], base: str) -> tuple[float, float, int]:
    started = time.perf_counter()
    with running(command, base) as client:
        tools = client.start()
        took = (time.perf_counter() - started) * 1e3
        client.ask("prompts/list", {})  # what opens our state, which the list of tools does not need
        return took, client.memory(), len(tools)


def _run(command: list[str | Path]) -> float:
    """Milliseconds of CPU of a process from start to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def starts(base: str, rounds: int, pythons: dict[str, Path]) -> Iterator[Row]:
    """Start to tools/list against an SDK server with as many tools; imports and the command line by themselves."""
    ours = [sys.executable, "-m", "mcp_llm"]
    count = _cold(ours, base)[2]
    sdk = [sys.executable, str(HERE / "servers" / "sdk.py"), str(count), base]
    megabytes: dict[str, list[float]] = {"ours": [], "sdk": []}

    def cold(who: str, command: list[str]) -> float:
        took, memory, tools = _cold(command, base)
        assert tools == count
        megabytes[who].append(memory)
        return took

    cold("sdk", sdk)  # both with their bytecode compiled and their files read
    ours_ms, sdk_ms = _rounds(rounds * 2, lambda: cold("ours", ours), lambda: cold("sdk", sdk))
    yield compared(f"start to tools/list, {count} tools", "ms", ours_ms, sdk_ms, 1.05)
    mine, theirs = (statistics.median(values) for values in megabytes.values())
    yield Row("memory after prompts/list, over the floor", "MB", mine, theirs, mine - theirs, 8, form="{:+.1f}")
    imports = {name: (python, PEERS[name].imports) for name, python in pythons.items()}
    here = Path(sys.executable)
    commands: dict[str, list[str | Path]] = {
        "bare": [here, "-c", "pass"],
        "import": [here, "-c", "import mcp_llm"],
        "help": [here, "-m", "mcp_llm", "--help"],
        **{name: [python, "-c", f"import {module}"] for name, (python, module) in imports.items()},
    }
    found = dict(
        zip(commands, _rounds(rounds, *(partial(_run, command) for command in commands.values())), strict=True)
    )
    took = {name: spread(values) for name, values in found.items()}
    peers, bare = {name: took[name] for name in imports}, took["bare"][0]
    for work, who, goal in (("import mcp_llm", "import", 120), ("mcp-llm --help", "help", 150)):
        got, least, most = took[who]
        others = peers if who == "import" else {}
        yield Row(work, "ms CPU", got, bare, got, goal, others, "{:.0f}", (least, most))
