"""MCP servers over HTTP, measured from outside: CPU of the whole process per call, and what a crowd costs."""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from table import Row, compared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HERE = Path(__file__).resolve().parent
Json = dict[str, Any]
ABOUT = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
}
ACCEPT = "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"


class Connection:
    """One kept-alive connection; in the older era a session of its own."""

    def __init__(self, port: int, era: str) -> None:
        self.port = port
        self.era = era
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = ACCEPT
        if era == "legacy":
            about = {"name": "bench", "version": "1"}
            hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about}
            head, _ = self.ask({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})
            session = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"mcp-session-id"))
            self.head += f"{session.decode()}\r\nmcp-protocol-version: 2025-06-18\r\n"
            self.ask({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def again(self) -> Connection:
        """The same session on a new connection."""
        self.socket.close()
        self.socket = socket.create_connection(("127.0.0.1", self.port), 60)
        return self

    def call(self, name: str, arguments: Json) -> bytes:
        """A `tools/call`, as bytes."""
        params: Json = {"name": name, "arguments": arguments}
        extra = ""
        if self.era == "modern":
            params["_meta"] = ABOUT
            extra = f"mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: {name}\r\n"
        return self.encode({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, extra)

    def encode(self, message: Json, extra: str = "") -> bytes:
        """A POST of this message."""
        body = json.dumps(message).encode()
        first = f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-length: {len(body)}\r\n"
        return f"{first}{self.head}{extra}\r\n".encode() + body

    def ask(self, message: Json) -> tuple[bytes, bytes]:
        """Send and wait: head and body."""
        self.socket.sendall(self.encode(message))
        data = b""
        while (found := whole(data)) is None:
            data += self.socket.recv(65536)
        return found


def whole(data: bytes) -> tuple[bytes, bytes] | None:
    """(head, body) once all of a reply is there; chunks are left as they are."""
    head, mark, body = data.partition(b"\r\n\r\n")
    if not mark:
        return None
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return (head, body) if body.endswith(b"0\r\n\r\n") else None
    length = lower.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return (head, body) if len(body) >= int(length or 0) else None


@contextmanager
def running(command: Sequence[str], env: dict[str, str] | None = None) -> Iterator[tuple[int, int]]:
    """(process id, port) of a server; `{port}` in the command is a free one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "MCP_LLM_HOME": home, "MCP_LLM_DISCOVER": "0", **(env or {})}
        words = [word.format(port=port) for word in command]
        child = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.sched_setaffinity(child.pid, {0})
        try:
            wait_for(port)
            yield child.pid, port
        finally:
            child.kill()
            child.wait()


def wait_for(port: int) -> None:
    """Until somebody listens."""
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def cpu(pid: int) -> float:
    """Microseconds that all threads have used."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e3


def peak(pid: int) -> float:
    """The most resident megabytes so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def drive(connections: Sequence[Connection], request: Callable[[Connection], bytes], count: int) -> list[bytes]:
    """`count` requests, one in flight on each connection; the heads and bodies as they come."""
    replies: list[bytes] = []
    sent = 0
    waiting: dict[socket.socket, bytes] = {}
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, request(connection))
            if sent < count:
                connection.socket.sendall(request(connection))
                waiting[connection.socket] = b""
                sent += 1
        while len(replies) < count:
            for key, _ in selector.select(60):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                data = waiting.get(sock, b"") + sock.recv(262_144)
                if whole(data) is None:
                    waiting[sock] = data
                    continue
                replies.append(data)
                waiting[sock] = b""
                if sent < count:
                    sock.sendall(key.data)
                    sent += 1
    return replies


def echo(who: str, era: str, at_once: int, share: float) -> float:
    """Microseconds of CPU a call of the trivial tool."""
    with running([sys.executable, str(HERE / "servers" / "http_echo.py"), who, "{port}"]) as (pid, port):
        connections = [Connection(port, era) for _ in range(at_once)]
        ask = partial(Connection.call, name="echo", arguments={"text": "hello"})
        count = max(at_once * 2, round(500 * share))
        drive(connections, ask, 50)
        before = cpu(pid)
        replies = drive(connections, ask, count)
        spent = cpu(pid) - before
    assert all(b"hello" in reply and reply.startswith(b"HTTP/1.1 200") for reply in replies)
    return spent / count


def start(who: str) -> float:
    """Milliseconds from the start of the process to the answer of the first call."""
    started = time.perf_counter()
    with running([sys.executable, str(HERE / "servers" / "http_echo.py"), who, "{port}"]) as (_, port):
        connection = Connection(port, "modern")
        drive([connection], partial(Connection.call, name="echo", arguments={"text": "hello"}), 1)
        return (time.perf_counter() - started) * 1e3


def crowd(base: str, era: str, most: int, surplus: int) -> tuple[float, list[float]]:
    """Peak megabytes with `most` calls in flight; then for each of `surplus` more the milliseconds until it is Busy.

    Surplus calls come one after the other: together they would measure how fast this process reads.
    """
    config = (
        f'discover = false\nmax_calls = {most}\n[providers.bench]\nbase_url = "{base}/w600000/v1"\nopen = true\n'
        'wires = { chat = "openai" }\nauth = { required = false, env = ["BENCH_KEY"], headers = {} }\n'
    )
    asked = {"prompt": "Say something.", "model": "bench:bench-1", "wait_s": 600}
    with tempfile.TemporaryDirectory() as home:
        Path(home, "mcp_llm.toml").write_text(config, encoding="utf-8")
        command = [sys.executable, "-m", "mcp_llm", "serve", "--http", "--port", "{port}"]
        with running(command, {"MCP_LLM_HOME": home}) as (pid, port):
            connections = [Connection(port, era) for _ in range(most + 1)]
            for connection in connections[:-1]:
                connection.socket.sendall(connection.call("generate", asked))
            settled(pid)
            took: list[float] = []
            last = connections[-1]
            while len(took) < surplus:
                started = time.perf_counter()
                last.socket.sendall(last.call("generate", asked))
                reply = last.socket.recv(65536)
                if not reply.startswith(b"HTTP/1.1 503"):
                    raise RuntimeError(f"call {most + 1} was not told to wait: {reply[:80]!r}")
                took.append((time.perf_counter() - started) * 1e3)
                last = last.again()
            return peak(pid), took


def settled(pid: int) -> None:
    """Until the process does next to nothing."""
    before = -1e9
    while cpu(pid) - before > 20_000:
        before = cpu(pid)
        time.sleep(0.5)


def rows(base: str, rounds: int, share: float) -> Iterator[Row]:
    """A trivial tool behind our application against the SDK's own, in both eras; then a crowd that waits."""
    for era in ("legacy", "modern"):
        for at_once in (1, 32):
            found: dict[str, list[float]] = {"ours": [], "sdk": []}
            for number in range(rounds):
                for who in ("ours", "sdk") if number % 2 else ("sdk", "ours"):
                    found[who].append(echo(who, era, at_once, share))
            work = f"tools/call over HTTP, {era}, {at_once} at a time"
            yield compared(work, "us", found["ours"], found["sdk"], 1.0)
    took_ms: dict[str, list[float]] = {"ours": [], "sdk": []}
    for number in range(rounds * 2):
        for who in ("ours", "sdk") if number % 2 else ("sdk", "ours"):
            took_ms[who].append(start(who))
    yield compared("start to the first answer over HTTP", "ms", took_ms["ours"][1:], took_ms["sdk"][1:], 1.05)
    most = round(1000 * share)
    for era in ("legacy", "modern"):
        megabytes, took = crowd(base, era, most, 200)
        yield Row(f"{most:,} calls in flight, {era}: peak memory", "MB", megabytes, None, megabytes, 256, form="{:.0f}")
        slowest = sorted(took)[-2]
        yield Row(f"  one more is told to wait, {era}", "ms", slowest, None, slowest, 100, form="{:.1f}")
