"""A server process over stdio or HTTP, and a raw client with any number of calls under way, each with its own clock.

Nothing of an SDK is in it and one thread does it all, so that what is measured is the server.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from server.http.talking import ABOUT, JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Json = dict[str, Any]
HELLO: Json = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "crowd", "version": "1"}}
TRANSPORTS = ("stdio", "http")


@dataclass(frozen=True)
class Answer:
    """What came of a call, `seconds` after it was sent. `result` None: an error of the protocol, or the end."""

    number: int
    seconds: float
    result: Json | None
    error: str = ""
    retry_after: float | None = None

    @property
    def busy(self) -> bool:
        """Whether it was told that there is no room now, and when to try again."""
        return self.retry_after is not None

    @property
    def served(self) -> bool:
        """Whether it is an answer."""
        return self.result is not None and not self.result.get("isError")

    @property
    def text(self) -> str:
        """Its words, or the error's."""
        return str(self.result["content"][0]["text"]) if self.result else self.error


class Wire(Protocol):
    """One way to reach a server."""

    process: subprocess.Popen[bytes]

    def put(self, message: Json) -> None:
        """Send one message, sooner or later."""
        ...

    def take(self, seconds: float) -> list[tuple[int, Json | None, str, float | None]] | None:
        """What has come (id, result, error, retry after) within so many seconds; None after the end."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass
class Crowd:
    """The client."""

    wire: Wire
    sent: dict[int, float] = field(default_factory=dict)
    """When those that are not answered yet were sent."""
    answers: list[Answer] = field(default_factory=list)
    _number: int = 1

    @property
    def pid(self) -> int:
        return self.wire.process.pid

    def call(self, tool: str, arguments: Json) -> int:
        """Make a call; its number."""
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": "tools/call"}
        self.sent[self._number] = time.perf_counter()
        self.wire.put({**message, "params": {"name": tool, "arguments": arguments}})
        return self._number

    def read(self, seconds: float) -> list[Answer] | None:
        """Those that come within so many seconds, at once when there are any; None when no more can come."""
        taken = self.wire.take(seconds)
        if taken is None:
            return None
        now = time.perf_counter()
        new = [
            Answer(number, now - self.sent.pop(number), result, error, retry)
            for number, result, error, retry in taken
            if number in self.sent
        ]
        self.answers += new
        return new

    def all(self, seconds: float) -> list[Answer]:
        """Wait until every call has its answer. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while self.sent:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(self.sent)} calls have no answer after {seconds} s")
            if self.read(1.0) is None:
                raise EOFError(f"the server ended with {len(self.sent)} calls open")
        return list(self.answers)

    def through(self, calls: Sequence[tuple[str, Json]], at_once: int, seconds: float) -> list[Answer]:
        """All of these calls, so many at a time. Raises TimeoutError."""
        until, first, rest = time.monotonic() + seconds, len(self.answers), iter(calls)
        for one in islice(rest, at_once):
            self.call(*one)
        while self.sent:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(self.answers) - first} of {len(calls)} calls were answered in {seconds} s")
            for _ in self.read(1.0) or ():
                for following in islice(rest, 1):
                    self.call(*following)
        return self.answers[first:]

    def ask(self, tool: str, arguments: Json, seconds: float = 60) -> Answer:
        """One call and its answer."""
        number = self.call(tool, arguments)
        until = time.monotonic() + seconds
        while number in self.sent:
            if time.monotonic() > until or self.read(1.0) is None:
                raise TimeoutError(f"{tool} has no answer")
        return next(one for one in reversed(self.answers) if one.number == number)

    def cancel(self, number: int) -> None:
        """Say that nobody wants the answer any more."""
        del self.sent[number]
        self.wire.put({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})


def environment(home: Path, **more: str) -> dict[str, str]:
    """Of a server with this home, and with nothing of whoever runs the tests."""
    return {"PATH": os.environ["PATH"], "MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0", **more}


class Stdio:
    """Lines over the pipes of the process. `deaf` reads nothing."""

    def __init__(self, home: Path, log: Any, **more: str) -> None:
        command = [sys.executable, "-m", "mcp_llm"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment(home, **more), cwd=home
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._unsent, self._begun = bytearray(), b""
        self.deaf = False
        self.put({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HELLO})
        while not self.take(60):
            pass
        self.put({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def put(self, message: Json) -> None:
        self.raw(json.dumps(message).encode() + b"\n")

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._unsent += data
        self.push()

    def push(self) -> int:
        """Write what the pipe takes; how many bytes have to wait."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self._in, self._unsent[: 1 << 20])]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()
        return len(self._unsent)

    def take(self, seconds: float) -> list[tuple[int, Json | None, str, float | None]] | None:
        with selectors.DefaultSelector() as selector:
            if not self.deaf:
                selector.register(self._out, selectors.EVENT_READ)
            if self._unsent:
                selector.register(self._in, selectors.EVENT_WRITE)
            ready = {key.fd for key, _ in selector.select(seconds)}
        self.push()
        if self._out not in ready:
            return []
        try:
            data = os.read(self._out, 1 << 20)
        except BlockingIOError:
            return []
        if not data:
            return None
        *lines, self._begun = (self._begun + data).split(b"\n")
        return [_answer(json.loads(line)) for line in lines if b'"id"' in line]

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class Http:
    """A connection for each call under way, in the older era without sessions: the newer one's, that is."""

    def __init__(self, home: Path, log: Any, **more: str) -> None:
        command = [sys.executable, "-m", "mcp_llm", "serve", "--http", "--port", "0"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=log, stdout=subprocess.DEVNULL, env=environment(home, **more)
        )
        self.port = self._port(log.name)
        self._selector = selectors.DefaultSelector()
        self._idle: list[socket.socket] = []
        self._begun: dict[socket.socket, bytes] = {}
        self._of: dict[socket.socket, int] = {}

    def _port(self, log: str) -> int:
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            with open(log, encoding="utf-8") as file:
                said = file.read()
            if "serving MCP on" in said and said.endswith("\n"):
                return int(said.partition("serving MCP on ")[2].split()[0].removesuffix("/mcp").rpartition(":")[2])
            time.sleep(0.02)
        raise RuntimeError("the server did not start")

    def connect(self, count: int) -> None:
        """Open so many connections before they are needed."""
        self._idle += [socket.create_connection(("127.0.0.1", self.port), 60) for _ in range(count)]

    def put(self, message: Json) -> None:
        if "id" not in message:  # a cancellation: of this era it is the end of the connection
            number = message["params"]["requestId"]
            self._drop(next(sock for sock, of in self._of.items() if of == number))
            return
        params = {**message["params"], "_meta": ABOUT}
        body = json.dumps({**message, "params": params}).encode()
        head = f"{JSON}mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: {params['name']}\r\n"
        first = f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-length: {len(body)}\r\n"
        sock = self._connection()
        self._of[sock], self._begun[sock] = message["id"], b""
        self._selector.register(sock, selectors.EVENT_READ)
        sock.sendall(f"{first}{head}\r\n".encode() + body)

    def _connection(self) -> socket.socket:
        """One that is idle and that the server has not ended, which it does after a while; else a new one."""
        while self._idle:
            sock = self._idle.pop()
            heard = select.poll()
            heard.register(sock, select.POLLIN)
            if not heard.poll(0):
                return sock
            sock.close()
        self.connect(1)
        return self._idle.pop()

    def take(self, seconds: float) -> list[tuple[int, Json | None, str, float | None]] | None:
        if not self._of:
            return None if self.process.poll() is not None else []
        found = []
        for key, _ in self._selector.select(seconds):
            sock: Any = key.fileobj
            try:
                data = sock.recv(1 << 20)
            except ConnectionError:
                data = b""
            self._begun[sock] += data
            if (whole := _whole(self._begun[sock])) is not None or not data:
                number = self._of[sock]
                found.append((number, None, "closed", None) if whole is None else (number, *whole))
                self._drop(sock, keep=whole is not None and whole[0] is not None)
        return found

    def _drop(self, sock: socket.socket, *, keep: bool = False) -> None:
        self._selector.unregister(sock)
        del self._of[sock], self._begun[sock]
        if keep:
            self._idle.append(sock)
        else:
            sock.close()

    def close(self) -> None:
        for sock in [*self._of, *self._idle]:
            sock.close()
        self._selector.close()


def _whole(data: bytes) -> tuple[Json | None, str, float | None] | None:
    """(result, error, retry after) of an HTTP reply, once all of it is there."""
    head, mark, body = data.partition(b"\r\n\r\n")
    if not mark:
        return None
    names = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))}
    if b"content-length" in names:
        if len(body) < int(names[b"content-length"]):
            return None
        message = json.loads(body)
    elif not body.endswith(b"0\r\n\r\n"):
        return None
    else:
        message = json.loads(body.rpartition(b"data: ")[2].partition(b"\r\n")[0])
    after = names.get(b"retry-after")
    _, result, error, _ = _answer({"id": 0, **message})
    return result, error, float(after) if after else None


def _answer(message: Json) -> tuple[int, Json | None, str, float | None]:
    result, error = message.get("result"), message.get("error") or {}
    said = (result or {}).get("structuredContent") or error.get("data") or {}
    retry = said.get("retry_after_s") if isinstance(said, dict) else None
    return message.get("id") or 0, result, str(error.get("message", "")), retry


@contextmanager
def crowd(transport: str, home: Path, **more: str) -> Iterator[Crowd]:
    """A server of that transport with this home, and a client; killed at the end if it is still there."""
    opens: dict[str, Callable[..., Wire]] = {"stdio": Stdio, "http": Http}
    with tempfile.NamedTemporaryFile() as log:
        wire = opens[transport](home, log, **more)
        try:
            yield Crowd(wire)
        except Exception:
            with open(log.name, encoding="utf-8", errors="replace") as said:
                words = said.read()[-2000:]
            print(f"the server (its exit code: {wire.process.poll()}) said last:\n{words}", file=sys.stderr)
            raise
        finally:
            wire.process.kill()
            wire.process.wait()
            wire.close()
