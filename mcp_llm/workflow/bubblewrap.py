"""Python inside bubblewrap: namespaces of its own for everything, an empty file system but for Python itself, no
network, no environment, one process, and a filter of system calls. It dies with us, whatever happens to us.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio

from mcp_llm.errors import Denied

from . import seccomp
from .boundary import Limits, Ran

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

    from anyio.abc import ByteReceiveStream, Process

MOST_RESULT: Final = 8 * 1024 * 1024
DISK: Final = 64 * 1024 * 1024
"""Bytes that the step may write, in a folder that ends with it."""
ENDING: Final = 2.0
PROBE: Final = Limits(20.0, 256 * 1024 * 1024, 64 * 1024)
SYSTEM: Final = ("/usr", "/lib", "/lib64", "/lib32", "/nix/store")
"""Where the libraries are that Python is linked to."""
TRIED: Final = """
import os, socket, sys
found = []
def tried(what, function):
    try:
        function()
    except (OSError, MemoryError, ValueError):
        return
    found.append(what)
tried("it reads /etc/passwd", lambda: open("/etc/passwd").close())
tried("it reads the user's folder", lambda: os.listdir(home))
tried("it writes beyond its own folder", lambda: open("/usr/x", "w").close())
tried("it has sockets", lambda: socket.socket().close())
tried("it starts processes", lambda: os.fork() or os._exit(0))
tried("it sees other processes", lambda: os.listdir("/proc"))
tried("its memory has no limit", lambda: bytearray(1 << 30))
tried("it has memory that no limit counts", lambda: os.memfd_create("x"))
if set(os.environb) - {b"LD_LIBRARY_PATH", b"LC_CTYPE", b"PWD"}:
    found.append("it has an environment")
result = found
"""
"""What must not succeed; told in the words of the fault."""


class Bubblewrap:
    """The command `bwrap`."""

    name = "bubblewrap"

    async def probe(self) -> str | None:
        """Try what must not succeed."""
        if sys.platform != "linux":
            return "it exists on Linux only"
        if shutil.which("bwrap") is None:
            return "`bwrap` is not installed"
        if seccomp.program(os.uname().machine) is None:
            return f"its filter does not know this processor ({os.uname().machine})"
        ran = await self.run(TRIED, {"home": str(Path.home())}, PROBE)
        if ran.error is not None or not isinstance(ran.result, list):
            return (ran.error or ran.stderr or "it gave no answer")[:300]
        return ", ".join(map(str, ran.result)) or None

    async def run(self, code: str, inputs: dict[str, Any], limits: Limits) -> Ran:
        """Run it there; killed when its time is over."""
        if sys.platform != "linux":
            raise Denied("bubblewrap exists on Linux only")
        command = shutil.which("bwrap")
        program = seccomp.program(os.uname().machine)
        if command is None or program is None:
            raise Denied("bubblewrap is gone")
        given = {"code": code, "inputs": inputs, "memory": limits.memory, "seconds": int(limits.seconds) + 1}
        started = time.monotonic()
        with _pipe() as (told, tell), _pipe() as (filtered, filtering):
            filtering.write(program)
            filtering.close()
            inside = Path(__file__).with_name("inside.py").read_text(encoding="utf-8")
            wall, said = filtered.fileno(), tell.fileno()
            argv = [command, *_walls(wall), *_python(), "-I", "-S", "-B", "-c", inside, str(said)]
            process = await anyio.open_process(argv, env={}, start_new_session=True, pass_fds=(said, wall), cwd="/")
            tell.close()
            filtered.close()
            kept = _Kept(process, told.fileno(), limits.output)
            try:
                with anyio.move_on_after(limits.seconds) as scope:
                    await kept.talk(json.dumps({**given, "disk": DISK}).encode())
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(ENDING):
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
                    await process.aclose()
        seconds = time.monotonic() - started
        if scope.cancelled_caught:
            return kept.ran(None, seconds, f"it took longer than {limits.seconds:g} s and was ended")
        return kept.ran(process.returncode, seconds, None)


class _Kept:
    """What a process says: its two outputs and its result, each only so much of it."""

    def __init__(self, process: Process, told: int, most: int) -> None:
        self._process = process
        self._told = told
        self._most = most
        self._kept = {"stdout": bytearray(), "stderr": bytearray(), "result": bytearray()}
        self._cut: set[str] = set()

    async def talk(self, given: bytes) -> None:
        """Tell it what to do and listen until it has ended."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, "stdout", process.stdout)
            tasks.start_soon(self._listen, "stderr", process.stderr)
            tasks.start_soon(self._result)
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await process.stdin.send(given)
                await process.stdin.aclose()
        await process.wait()

    async def _listen(self, name: str, stream: ByteReceiveStream) -> None:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                self._keep(name, await stream.receive(65_536), self._most)

    async def _result(self) -> None:
        if sys.platform != "win32":
            os.set_blocking(self._told, False)
        while True:
            await anyio.wait_readable(self._told)
            if not (data := os.read(self._told, 65_536)):
                return
            self._keep("result", data, MOST_RESULT)

    def _keep(self, name: str, data: bytes, most: int) -> None:
        kept = self._kept[name]
        if len(kept) + len(data) > most:
            self._cut.add(name)
        kept += data[: most - len(kept)]

    def _text(self, name: str) -> str:
        text = self._kept[name].decode("utf-8", "replace")
        return f"{text}\n[cut: it said more than {self._most // 1024} KiB]" if name in self._cut else text

    def ran(self, code: int | None, seconds: float, error: str | None) -> Ran:
        """What came of it; what it told of its result is believed as far as it is JSON."""
        ran = Ran(None, self._text("stdout"), self._text("stderr"), code, seconds, error)
        if error is not None:
            return ran
        if "result" in self._cut:
            ran.error = f"its result has over {MOST_RESULT // 1024 // 1024} MiB: let it give less"
            return ran
        try:
            told = json.loads(self._kept["result"], parse_constant=_refuse)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            last = ran.stderr.strip().splitlines()[-1:] or [f"it ended with code {code} and without a word"]
            ran.error = last[0][:500]
            return ran
        ran.result, line = told.get("result"), told.get("line")
        ran.line = line if isinstance(line, int) else None
        if told.get("error") is not None:
            ran.error = str(told["error"])[:2000]
        elif code:
            ran.error = f"it ended with code {code}"
        return ran


def _refuse(name: str) -> None:
    raise ValueError(name)


@contextmanager
def _pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """Both ends, each closed once: a number that was given back may be somebody else's by then."""
    ends = os.pipe()
    with os.fdopen(ends[0], "rb", buffering=0) as reading, os.fdopen(ends[1], "wb", buffering=0) as writing:
        yield reading, writing


def _walls(filtered: int) -> Iterator[str]:
    """The arguments of bwrap: everything of its own, nothing of ours but the libraries, read-only."""
    yield from (
        "--unshare-all",
        "--unshare-user",
        "--clearenv",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
    )
    yield from ("--uid", "65534", "--gid", "65534", "--hostname", "step", "--seccomp", str(filtered))
    for name in SYSTEM:
        if os.path.islink(name):
            yield from ("--symlink", os.readlink(name), name)
        elif os.path.isdir(name):
            yield from ("--ro-bind", name, name)
    if not _home().startswith("/usr"):
        yield from ("--ro-bind", _home(), "/python", "--setenv", "LD_LIBRARY_PATH", "/python/lib")
    yield from ("--dev-bind-try", "/dev/null", "/dev/null", "--size", str(DISK), "--tmpfs", "/tmp", "--chdir", "/tmp")
    yield from ("--remount-ro", "/", "--")


def _home() -> str:
    """The folder of the Python that we run on, without the virtual environment: its packages stay outside."""
    return os.path.realpath(sys.base_prefix)


def _python() -> list[str]:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    home = _home()
    return [f"{home}/bin/{name}" if home.startswith("/usr") else f"/python/bin/{name}"]
