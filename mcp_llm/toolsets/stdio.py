"""A child process as the other end of an MCP connection: bounded in what it may send, and never left behind.

It runs in its own session with only the environment it is given. A shell watches a pipe that only we hold open: when
we are gone, however that came about, it kills the whole group. Needs no POSIX module to be imported.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest
from pydantic_core import PydanticSerializationError

from mcp_llm.errors import ToolFailed

from . import shims, text
from .entered import Entered
from .guard import Guard
from .lines import MOST_LINE, Lines, TooLong, is_heavy, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from anyio.abc import ByteReceiveStream, Process
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

EOF_SECONDS: Final = 1.0
TERM_SECONDS: Final = 0.8
KILL_SECONDS: Final = 1.0
LAST_LINES: Final = 20
_MOMENT: Final = 0.3
_KEPT: Final = 8 * 1024
_READ: Final = 64 * 1024
_QUEUE: Final = 256
_GARBAGE: Final = 100_000
_FIELD: Final = rb'"(?:jsonrpc|id)"\s*:\s*(?:"2\.0"|"?\d{1,15}"?)\s*'
# The first and the last fields of an answer, whatever stands between them: lines of a log hold ids as well.
_HEAD: Final = re.compile(rb'\s*\{\s*((?:%b,\s*){0,2})"(?:result|error)"\s*:' % _FIELD)
_TAIL: Final = re.compile(rb"((?:,\s*%b){0,2})\}\s*\Z" % _FIELD)
_ID: Final = re.compile(rb'"id"\s*:\s*"?(\d{1,15})')
_EDGE: Final = 200
_GROUP: Final = sys.platform != "win32"
# The watcher is forked before the command starts and lives in its group: the group's number cannot be reused, and no
# moment is unwatched. It holds neither stdout nor stderr, so that their ends mean the child's. Shells add variables.
_WATCHED: Final = (
    "(trap '' HUP INT TERM; read _; kill -9 0) </dev/fd/$1 >/dev/null 2>&1 & shift; unset PWD OLDPWD SHLVL; exec \"$@\""
)

_Read = SessionMessage | Exception


class Child(Entered):
    """A transport for the SDK's client. `lost` is set when nothing will come any more, `fault` says why.

    Raises ToolFailed on entering when the command cannot be started.
    """

    def __init__(self, command: str, args: Sequence[str], env: Mapping[str, str], cwd: str | None = None) -> None:
        self.guard = Guard()
        self.lost = anyio.Event()
        self.fault: str | None = None
        self._command, self._args, self._env, self._cwd = command, list(args), dict(env), cwd
        self._said = bytearray()
        self._stopping = False
        self._over = False

    @property
    def words(self) -> str:
        """The last lines the child wrote to stderr."""
        lines = [line.rstrip() for line in text.visible(self._said.decode("utf-8", "replace")).splitlines()]
        return "\n".join([line[:300] for line in lines if line][-LAST_LINES:])

    @asynccontextmanager
    async def _streams(self) -> AsyncIterator[tuple[Any, Any]]:
        process, alive = await self._start()
        inbound, read = anyio.create_memory_object_stream[_Read](0)
        # A child that does not read must not hold up who writes: deadlines and cancellation are counted elsewhere.
        write, outbound = anyio.create_memory_object_stream[SessionMessage](_QUEUE)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read, process, inbound, write)
                tasks.start_soon(self._write, process, outbound, inbound)
                tasks.start_soon(self._listen, process)
                tasks.start_soon(self._await_end, process, inbound)
                try:
                    yield read, write
                finally:
                    self._stopping = True
                    with anyio.CancelScope(shield=True):
                        read.close()
                        await _stop(process, gently=self.fault is None)
                    tasks.cancel_scope.cancel()
        finally:
            for stream in (inbound, read, write, outbound):
                stream.close()
            _kill_group(process.pid)
            if alive is not None:
                os.close(alive)
            self._lose(_ending(process.returncode) if self._over else None)
            _forget(process)
            with anyio.CancelScope(shield=True):
                await _bury(process)
                await anyio.lowlevel.checkpoint()  # one turn of the loop, in which the pipes are really closed

    async def _start(self) -> tuple[Process, int | None]:
        command = self._found()
        watched: int | None = None
        alive: int | None = None
        argv: list[str] | str = [command, *self._args]
        if shims.needed(command):
            argv = shims.line(command, self._args)
        if _GROUP:
            watched, alive = os.pipe()
            if os.path.exists(f"/dev/fd/{watched}") and os.path.exists("/bin/sh"):  # noqa: ASYNC240
                argv = ["/bin/sh", "-c", _WATCHED, "sh", str(watched), command, *self._args]
            else:
                os.close(watched)
                os.close(alive)
                watched = alive = None
        try:
            process = await anyio.open_process(
                argv,
                env=self._env,
                cwd=self._cwd,
                start_new_session=_GROUP,
                creationflags=0 if _GROUP else 0x0000_0200,  # CREATE_NEW_PROCESS_GROUP
                pass_fds=() if watched is None else (watched,),
            )
        except BaseException as error:
            if alive is not None:
                os.close(alive)
            if not isinstance(error, OSError | ValueError):
                raise
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ToolFailed(f"its command {text.line(self._command)!r} cannot be started: {reason}") from None
        finally:
            if watched is not None:
                os.close(watched)
        return process, alive

    def _found(self) -> str:
        """The command's file. Looked for before starting, so that a missing one is told at once and by name."""
        if self._cwd is not None and not os.path.isdir(self._cwd):
            raise ToolFailed("its folder (`cwd`) does not exist")
        name = self._command
        if os.path.dirname(name):
            name = os.path.join(self._cwd or "", name)
        found = shutil.which(name, path=self._env.get("PATH", os.defpath))
        if found is None:
            raise ToolFailed(
                f"its command {text.line(self._command)!r} was not found: install it, or give its whole path"
            )
        return os.path.abspath(found)

    async def _read(
        self,
        process: Process,
        inbound: MemoryObjectSendStream[_Read],
        replies: MemoryObjectSendStream[SessionMessage],
    ) -> None:
        """Stdout, message by message, until it ends; then what is left of it, so that the child can end as well."""
        assert process.stdout is not None
        lines = Lines()
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            async with inbound:
                while self.fault is None and (data := await _some(process.stdout)):
                    try:
                        for line in lines.feed(data):
                            await self._take(line, inbound, replies)
                    except TooLong:
                        self._lose(f"it sent a line of more than {MOST_LINE // 1024 // 1024} MiB")
                    if self.guard.skipped > _GARBAGE:
                        self._lose(f"it sent {self.guard.skipped} lines that are no answers")
                    await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            _kill_group(process.pid)
        elif not self._stopping:
            self._over = True
            with anyio.move_on_after(0.15):  # the exit code comes a moment after the end of the output
                await _exited(process)
            self._lose(_ending(process.returncode))
        while await _some(process.stdout):
            await anyio.lowlevel.checkpoint()

    async def _take(
        self,
        line: bytes,
        inbound: MemoryObjectSendStream[_Read],
        replies: MemoryObjectSendStream[SessionMessage],
    ) -> None:
        if await is_heavy(line):
            await self._refuse(line, "its answer holds too many values", inbound)
            return
        message = await parse(line)
        if message is None:
            await self._refuse(line, "its answer cannot be read as JSON", inbound)
            return
        taken, reply = await self.guard.take(message)
        if reply is not None:
            with suppress(anyio.WouldBlock):  # a server that asks faster than it reads gets no answer
                replies.send_nowait(SessionMessage(reply))
        if taken is not None:
            await inbound.send(SessionMessage(taken))

    async def _refuse(self, line: bytes, why: str, inbound: MemoryObjectSendStream[_Read]) -> None:
        """Garbage is skipped; where it was meant as an answer, whoever waits for it is told at once."""
        number = _answered(line)
        error = None if number is None else self.guard.answer(number, why)
        if error is not None:
            await inbound.send(SessionMessage(error))
        else:
            self.guard.skipped += bool(line.strip())

    async def _write(
        self,
        process: Process,
        outbound: MemoryObjectReceiveStream[SessionMessage],
        inbound: MemoryObjectSendStream[_Read],
    ) -> None:
        assert process.stdin is not None
        # Its end is told by stdout or by its exit, not here.
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            async for item in outbound:
                message = item.message
                self.guard.asked(message)
                try:
                    data = message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
                except (PydanticSerializationError, UnicodeError):
                    if isinstance(message, JSONRPCRequest) and (
                        error := self.guard.answer(message.id, "the arguments hold what JSON cannot say")
                    ):
                        await inbound.send(SessionMessage(error))
                    continue
                await process.stdin.send(data)

    async def _listen(self, process: Process) -> None:
        """Stderr: the last 8 KiB are kept, the rest is read away, so that the child never waits for us."""
        assert process.stderr is not None
        while data := await _some(process.stderr):
            self._said += data[-_KEPT:]
            del self._said[:-_KEPT]
            await anyio.lowlevel.checkpoint()

    async def _await_end(self, process: Process, inbound: MemoryObjectSendStream[_Read]) -> None:
        """A child may end while a process of its own still holds its pipes, or live on and read no more."""
        while process.returncode is None and not _is_deaf(process):  # noqa: ASYNC110 - nothing tells us
            await anyio.sleep(0.1)
        with anyio.move_on_after(_MOMENT):  # the end of its output says more
            await self.lost.wait()
        if not self._stopping and self.fault is None:
            self._lose("it closed its input" if process.returncode is None else _ending(process.returncode))
            inbound.close()
            _kill_group(process.pid)  # whoever holds the pipes

    def _lose(self, fault: str | None) -> None:
        if not self.lost.is_set():
            self.fault = self.fault or fault
        self.lost.set()


async def _some(stream: ByteReceiveStream) -> bytes:
    """The next bytes; none at the end, however it came."""
    try:
        return await stream.receive(_READ)
    except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        return b""


async def _exited(process: Process) -> None:
    # Not `wait()`: asyncio's also waits for the pipes, which a grandchild may hold open.
    while process.returncode is None:  # noqa: ASYNC110 - nothing tells us
        await anyio.sleep(0.02)


def _is_deaf(process: Process) -> bool:
    """Whether nobody holds the other end of its stdin; the event loop sees that, and fails no write before the next."""
    pipe: Any = getattr(getattr(process.stdin, "_stream", None), "transport", None)
    return pipe is not None and pipe.is_closing()


async def _stop(process: Process, *, gently: bool) -> None:
    """Close its stdin, ask it to go, kill the group; at most 2.8 s."""
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        if process.stdin is not None:
            await process.stdin.aclose()
    if gently:
        with anyio.move_on_after(EOF_SECONDS):
            await _exited(process)
        if _GROUP and process.returncode is None:  # Windows knows no asking, and an ended shim hides what it started
            _signal_group(process.pid, signal.SIGTERM)
            with anyio.move_on_after(TERM_SECONDS):
                await _exited(process)
    _kill_group(process.pid)
    with anyio.move_on_after(KILL_SECONDS):
        await _exited(process)


def _kill_group(pid: int) -> None:
    if _GROUP:
        _signal_group(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        return
    import subprocess

    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(pid)], capture_output=True, check=False, timeout=2)


def _signal_group(pid: int, number: int) -> None:
    if sys.platform != "win32":
        with suppress(OSError):
            os.killpg(pid, number)


async def _bury(process: Process) -> None:
    """Wait for what the child left to us: the first process of a container inherits all orphans, as zombies."""
    if sys.platform == "win32" or process.returncode is None:  # the child itself is asyncio's to wait for
        return
    with suppress(ChildProcessError), anyio.move_on_after(KILL_SECONDS):
        while True:
            if os.waitpid(-process.pid, os.WNOHANG)[0] == 0:  # noqa: ASYNC222 - does not wait
                await anyio.sleep(0.01)


def _forget(process: Process) -> None:
    """Close our ends of the pipes: a process that left the group may hold the others for ever."""
    inner: Any = getattr(getattr(process, "_process", None), "_transport", None)
    if (close := getattr(inner, "close", None)) is not None:
        with suppress(OSError):
            close()


def _answered(line: bytes) -> int | None:
    """The request that a line answers, which cannot be read or is not: None where it is no JSON-RPC answer."""
    head, tail = _HEAD.match(line[:_EDGE]), _TAIL.search(line[-_EDGE:])
    if head is None:
        return None
    fields = head[1] + (tail[1] if tail is not None else b"")
    found = _ID.search(fields) if b'"2.0"' in fields else None
    return None if found is None else int(found[1])


def _ending(code: int | None) -> str:
    if code is None:
        return "it closed its output"
    if code < 0:
        return f"it was killed by signal {-code}"
    return f"it ended with exit code {code}"
