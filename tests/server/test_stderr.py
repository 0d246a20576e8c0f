"""A stderr that nobody reads: nothing waits for it, and somebody who reads slowly gets every line of the log."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from server.http.talking import Served

from mcp_llm.server.http.log import AccessLog
from mcp_llm.server.stderr import LAST_SECONDS, PIECE, log, say, spare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot say whether a pipe takes more"),
]


@contextmanager
def unread() -> Iterator[int]:
    """The reading end of a pipe that is stderr meanwhile."""
    reading, writing = os.pipe()
    before, sys.stderr = sys.stderr, io.TextIOWrapper(io.FileIO(writing, "w", closefd=False))
    try:
        spare()
        yield reading
    finally:
        sys.stderr = before
        for fd in (reading, writing):
            with suppress(OSError):  # closed by the test
                os.close(fd)


def fill(fd: int) -> int:
    """The number of bytes that it took until it was full."""
    os.set_blocking(fd, False)
    size = 0
    for piece in (b"x" * 4096, b"x"):
        try:
            while True:
                size += os.write(fd, piece)
        except BlockingIOError:
            continue
    os.set_blocking(fd, True)
    return size


def test_a_line_is_there_at_once_and_one_that_finds_it_full_is_lost_alone() -> None:
    with unread() as pipe:
        say("one")
        assert os.read(pipe, 100) == b"mcp-llm: one\n"
        size = fill(sys.stderr.fileno())
        say("two")
        sys.stderr.write("three\n" * 10_000)
        while size:
            size -= len(os.read(pipe, size))
        say("four \ud800")
        assert os.read(pipe, 100) == b"mcp-llm: four \\ud800\n"


def test_nobody_who_reads_is_no_error() -> None:
    with unread() as pipe:
        os.close(pipe)
        say("one")
        log("two\n", lambda: True)


def test_somebody_who_reads_slowly_gets_every_line_of_the_log() -> None:
    with unread() as pipe:
        lines = "".join(f"line {number}\n" for number in range(60_000)) + "y" * (3 * PIECE) + "\n"
        asked = threading.Event()

        def stay() -> bool:
            asked.set()
            return True

        writing = threading.Thread(target=log, args=(lines, stay), daemon=True)
        writing.start()
        assert asked.wait(60)  # it is full
        got = b""
        while len(got) < len(lines):
            got += os.read(pipe, 1000)
        writing.join(60)
        assert got.decode() == lines


async def test_the_access_log_ends_though_nobody_reads_it() -> None:
    with unread():

        async def app(scope: object, receive: object, send: object) -> None:
            return

        fill(sys.stderr.fileno())
        access = AccessLog(app)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(access.run)
                for _ in range(3):
                    await access({"type": "http", "method": "GET", "path": "/"}, None, None)  # type: ignore[arg-type]
                    await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            while anyio.to_thread.current_default_thread_limiter().borrowed_tokens:  # noqa: ASYNC110 - threads tell nobody
                await anyio.sleep(0.02)


async def test_a_server_serves_and_ends_though_its_stderr_was_full_before_it_began(home: Path) -> None:
    reading, writing = os.pipe()
    fill(writing)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mcp_llm", "serve", "--http", "--port", str(port)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=writing) as child:  # noqa: ASYNC220
        os.close(writing)
        try:
            with anyio.fail_after(60):
                await up(port)
                assert (await Served(port).ask("/health")).status == 200
                child.send_signal(signal.SIGTERM)
                assert await anyio.to_thread.run_sync(child.wait, abandon_on_cancel=True) == 0
        finally:
            child.kill()
            os.close(reading)


ENDS = """
import sys
from mcp_llm.server import stderr
stderr.LAST_SECONDS = float(sys.argv[1])
stderr.spare()
for number in range(100):
    stderr.say(f"lost {number} " + "x" * 200)
stderr.log("a call\\n", lambda: False)
print("written", flush=True)
sys.stdin.readline()
raise SystemError("why it ended")
"""


@contextmanager
def full(seconds: float) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """(stderr, process): one that wrote its last words but one to a stderr that is full, and ends when told to."""
    reading, writing = os.pipe()
    fill(writing)
    command = [sys.executable, "-c", ENDS, str(seconds)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=writing, text=True) as child:
        os.close(writing)
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "written\n"
            yield reading, child
        finally:
            child.kill()
            os.close(reading)


def test_the_last_words_reach_somebody_who_reads_late() -> None:
    with full(60) as (pipe, child):
        assert child.stdin is not None
        child.stdin.write("end\n")
        child.stdin.flush()
        got = b""
        while piece := os.read(pipe, 65536):
            got += piece
    lines = got.decode().lstrip("x").splitlines()
    call = lines.index("a call")
    assert lines[call + 1 :][:1] == ["Traceback (most recent call last):"]
    assert lines[-1] == "SystemError: why it ended"
    numbers = range(100 - call, 100)
    assert lines[:call] == [f"mcp-llm: lost {number} {'x' * 200}" for number in numbers]
    assert 50 < call < 100  # of what nobody reads some is kept, not all


@pytest.mark.parametrize("seconds", [0.0, LAST_SECONDS])
def test_nobody_who_reads_keeps_a_process_from_its_end(seconds: float) -> None:
    with full(seconds) as (pipe, child):
        child.communicate("end\n", timeout=60)
        assert child.returncode == 1
        assert set(os.read(pipe, 2**20)) == set(b"x")


async def up(port: int) -> None:
    while True:
        try:
            await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
        except OSError:
            await anyio.sleep(0.05)
        else:
            return
