"""A connected MCP server as a toolset. Whatever it does - die, hang, lie, flood - costs its own tools only.

One task (`own`) enters and leaves the SDK's client, because that has to be the same one; calls come from any task.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, cast

import anyio
import anyio.abc
import anyio.to_thread
from mcp.client import Client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    CallToolResult,
    Implementation,
)
from pydantic import ValidationError

from mcp_llm.errors import Error, ToolFailed
from mcp_llm.redactor import Redactor
from mcp_llm.types.message import Media, Text, ToolResult

from . import pages, pins, text
from .base import Tool, Tools, failed
from .blocks import parts, weight
from .guard import MOST_NOTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.settings import Server

    from .guard import Guard

RESTARTS: Final = 3
REFRESH_SECONDS: Final = 1.0
_LAST_WORDS: Final = 1500
_REREAD_SECONDS: Final = 5.0
_THREAD_FROM: Final = 256 * 1024
_GONE: Final = {(CONNECTION_CLOSED, "Connection closed"), (INVALID_REQUEST, "Session terminated")}

State: TypeAlias = Literal["new", "connecting", "up", "down", "dead"]


class Transport(Protocol):
    """The bounded other end: a transport of the SDK's that says when and why it was lost."""

    guard: Guard
    lost: anyio.Event
    fault: str | None

    @property
    def words(self) -> str:
        """The last lines of its stderr."""


class Remote:
    """One configured server. Driven by `own` in a task of its own; until then, and without it, it has no tools.

    `error` is None while it can be used, else a sentence for people and models; `notes` say what was left out of its
    tools, `changed` which of them are off because they are not what the user agreed to.
    """

    def __init__(
        self,
        name: str,
        server: Server,
        dial: Callable[[], Transport],
        *,
        pinned: pins.Pins | None = None,
        version: str = "0",
        redactor: Redactor | None = None,
    ) -> None:
        self.name = name
        self.error: str | None = f"The server {name!r} has not been started."
        self.notes: list[str] = []
        self.changed: dict[str, str] = {}
        self.instructions: str | None = None
        self._server = server
        self._dial = dial
        self._pins = pinned or pins.NoPins()
        self._redacted = redactor or Redactor()
        self._info = Implementation(name="mcp-llm", version=version)
        self._tools: dict[str, Tool] = {}
        self._listed = -math.inf
        self._refreshing = anyio.Lock()
        self._client: Client | None = None
        self._transport: Transport | None = None
        self._state: State = "new"
        self._turn = anyio.Event()
        self._wanted = anyio.Event()
        self._leave = anyio.Event()
        self._connecting = anyio.CancelScope()
        self._stopped = False

    async def own(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Connect and stay, and again when a call wants it, three times at most; `started` after the first try."""
        restarts = 0
        try:
            while not self._stopped:
                self._wanted, self._leave = anyio.Event(), anyio.Event()
                self._become("connecting")
                was_up = await self._connection(task_status)
                if restarts >= RESTARTS:
                    self.error = f"{self.error}\nIt was started again {RESTARTS} times and is left alone now."
                    break
                if not (was_up or restarts):
                    break
                self._become("down")
                await self._wanted.wait()
                restarts += 1
        finally:
            self._become("dead")
            with suppress(RuntimeError):  # it has been told already
                task_status.started()

    def stop(self) -> None:
        """Let `own` leave the connection and return."""
        self._stopped = True
        if self._state == "connecting":  # nobody waits for it any more
            self._connecting.cancel()
        self._leave.set()
        self._wanted.set()

    async def list(self) -> Tools:
        """The allowed tools, by the server's own names; read again when it says that they changed."""
        if self._state == "up" and self._client is not None and self._transport is not None:
            stale = self._transport.guard.changed and anyio.current_time() - self._listed >= REFRESH_SECONDS
            if stale and not self._transport.lost.is_set():
                await self._refresh(self._client, self._transport)
        if self._state == "dead":
            return []
        return [
            tool for name, tool in self._tools.items() if pages.allowed(name, self._server) and name not in self.changed
        ]

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        call_id: str = "",
        meta: dict[str, Any] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        """Call a tool within `call_timeout_s`. If the server is lost, one that may be repeated is, once.

        Nothing that it says holds a secret we know: what it was given stays between us and it.
        """
        shown = text.line(name, 100)
        seconds = self._server.call_timeout_s
        with anyio.move_on_after(seconds):
            for last in (False, True):
                if not await self._available():
                    return failed(call_id, name, self.error or f"The server {self.name!r} is not connected.")
                if refusal := self._refusal(name):
                    return failed(call_id, name, refusal)
                tool = self._tools[name]
                try:
                    return await self._ask(name, arguments, call_id, meta, progress)
                except _Lost:
                    why = await self._mourn()
                if last or not tool.repeatable:
                    again = "" if tool.repeatable else " It may have taken effect: check before you call it again."
                    return failed(call_id, name, f"{shown} was not answered. {why}{again}")
        return failed(
            call_id,
            name,
            f"{shown} of the server {self.name!r} did not answer within {seconds:g} s and was cancelled. "
            "It may have taken effect: check before you call it again.",
        )

    def _refusal(self, name: str) -> str | None:
        shown = text.line(name, 100)
        if name not in self._tools:
            return f"The server {self.name!r} has no tool {shown!r}."
        if not pages.allowed(name, self._server):
            return f"The tool {shown!r} is not allowed here."
        if name in self.changed:
            why = "was never agreed to" if self.changed[name] == pins.NEVER else "is not what the user agreed to"
            return (
                f"The tool {shown!r} of the server {self.name!r} {why}: "
                f"it is off until the user has run `mcp-llm servers approve {quote(self.name)} {quote(shown)}`."
            )
        return None

    async def _ask(
        self,
        name: str,
        arguments: dict[str, Any],
        call_id: str,
        meta: dict[str, Any] | None,
        progress: Callable[[str], None] | None,
    ) -> ToolResult:
        assert self._client is not None

        async def told(done: float, total: float | None, message: str | None) -> None:
            if progress is not None:
                said = self._redacted(text.line(message)) if message else ""
                progress(said or (f"{done:g}/{total:g}" if total else f"{done:g}"))

        try:
            result = await self._client.session.call_tool(
                name,
                arguments,
                progress_callback=cast("Any", told if progress is not None else None),
                meta=cast("Any", meta),  # any keys may travel
                allow_input_required=True,
                allow_claimed=True,
            )
        except MCPError as error:
            # The SDK's words: a server may use the same numbers for reasons of its own.
            if (error.code, error.message) in _GONE or (self._transport is not None and self._transport.lost.is_set()):
                raise _Lost from None
            return failed(
                call_id, name, f"{text.line(name, 100)} failed: {self._redacted(text.clean(error.message, 2048))}"
            )
        except ValidationError as wrong:
            first = wrong.errors(include_url=False, include_input=False)[0]
            where = text.line(".".join(str(piece) for piece in first["loc"]))
            return failed(
                call_id,
                name,
                f"The server {self.name!r} answered with something that is no MCP result ({where}: {first['msg']}). "
                "The call may have taken effect.",
            )
        except (anyio.ClosedResourceError, anyio.BrokenResourceError, RuntimeError):
            raise _Lost from None
        if not isinstance(result, CallToolResult):
            return failed(
                call_id, name, f"{text.line(name, 100)} wants to ask the user first, which is not offered: not done."
            )
        large = weight(result) > _THREAD_FROM or result.structured_content is not None
        found = await anyio.to_thread.run_sync(self._parts, result) if large else self._parts(result)
        return ToolResult(call_id, name, found or (Text("done"),), bool(result.is_error))

    def _parts(self, result: CallToolResult) -> tuple[Text | Media, ...]:
        return tuple(
            replace(part, text=self._redacted(part.text)) if isinstance(part, Text) else part for part in parts(result)
        )

    async def _available(self) -> bool:
        """Whether there is a connection, after one try for one where that is still allowed."""
        tried = False
        while True:
            lost = self._transport is None or self._transport.lost.is_set()
            if self._state == "up" and not lost:
                return True
            if self._state in {"new", "dead"} or (self._state == "down" and tried):
                return False
            if self._state == "down":
                tried = True
                self._wanted.set()
            await self._turn.wait()

    async def _mourn(self) -> str:
        """Why the connection was lost; the owner is told, in case the transport did not notice."""
        transport = self._transport
        if transport is None:
            return self.error or ""
        with anyio.move_on_after(0.4):  # the reason comes a moment after the end
            await transport.lost.wait()
        transport.lost.set()
        return self._sentence(None, transport)

    def _become(self, state: State) -> None:
        self._state = state
        turn, self._turn = self._turn, anyio.Event()
        turn.set()

    async def _connection(self, task_status: anyio.abc.TaskStatus[None]) -> bool:
        """One connection from beginning to end; False if it was never up. Leaves `error` set unless it was stopped."""
        transport = self._transport = self._dial()
        was_up = False
        error: Exception | None = None
        seconds = self._server.start_timeout_s
        with anyio.move_on_after(seconds) as connecting:
            self._connecting = connecting
            try:
                async with Client(cast("Any", transport), client_info=self._info, cache=None) as client:
                    await self._refresh(client, transport, first=True)
                    self.instructions = text.clean(client.instructions) if client.instructions else None
                    connecting.deadline = math.inf
                    self._client, self.error, was_up = client, None, True
                    self._become("up")
                    with suppress(RuntimeError):  # only the first connection is waited for
                        task_status.started()
                    await self._stay(client, transport)
            except Exception as caught:
                error = caught
            finally:
                self._client = None
        if connecting.cancelled_caught:
            error = ToolFailed(f"it did not start within {seconds:g} s")
        self.error = self._sentence(error, transport)
        return was_up

    async def _stay(self, client: Client, transport: Transport) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_follow, client)
            tasks.start_soon(_pass_on, transport.lost, self._leave)
            await self._leave.wait()
            tasks.cancel_scope.cancel()

    async def _refresh(self, client: Client, transport: Transport, *, first: bool = False) -> None:
        """Read the list of tools. What goes wrong is raised while connecting, noted afterwards."""
        async with self._refreshing:
            transport.guard.changed = False
            self._listed = anyio.current_time()
            try:
                with anyio.fail_after(self._server.start_timeout_s if first else _REREAD_SECONDS):
                    listed = await pages.read(client, self._note)
            except (MCPError, ValidationError, TimeoutError, RuntimeError) as error:
                if first:
                    raise
                transport.guard.changed = True  # they still are: tried again with the next look
                self._note(f"Its tools could not be read again ({type(error).__name__}); the former ones are offered.")
                return
            tools = {tool.name: pages.offered(tool, self.name, self._server.approve) for tool in listed}
            for sentence in transport.guard.notes:
                self._note(sentence)
            try:
                marks = {name: tool.fingerprint for name, tool in tools.items()}
                changed = await self._pins.changed(
                    self.name, pins.target(self._server), marks, lambda name: tools[name].said
                )
            except Error as error:
                self._note(f"Its tools could not be compared with what was agreed to: {error}")
                before = {name: tool.fingerprint for name, tool in self._tools.items()} | self.changed
                changed = {name: before[name] for name, mark in marks.items() if before.get(name, mark) != mark}
            # Both at once: no tool is offered, or called, before it is known whether it is what was agreed to.
            self._tools, self.changed = tools, changed
            for sentence in pins.told(self.name, changed):
                self._note(sentence)

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes and len(self.notes) < MOST_NOTES:
            self.notes.append(sentence)

    def _sentence(self, error: Exception | None, transport: Transport) -> str:
        inner = _leaf(error)
        if isinstance(inner, ToolFailed):
            reason = str(inner)
        elif transport.fault is not None:
            reason = transport.fault
        elif isinstance(inner, MCPError):
            reason = text.line(inner.message, 500)
        else:
            reason = "it broke off" if inner is None else f"{type(inner).__name__}: {text.line(str(inner), 300)}"
        words = text.cut(transport.words[-_LAST_WORDS:], _LAST_WORDS)
        last = f"\nIt last wrote:\n{words}" if words else ""
        return self._redacted(f"The server {self.name!r} is not available: {reason}.{last}")


class _Lost(Exception):
    """The connection ended under a call."""


async def _follow(client: Client) -> None:
    """Keep the stream open on which newer servers tell of changes; the guard reads them."""
    capabilities = client.server_capabilities.tools
    if capabilities is None or not capabilities.list_changed:
        return
    with suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError, ValidationError, RuntimeError):
        async with client.listen(tools_list_changed=True):
            await anyio.sleep_forever()


async def _pass_on(first: anyio.Event, then: anyio.Event) -> None:
    await first.wait()
    then.set()


def _leaf(error: Exception | None) -> BaseException | None:
    """The exception that a tree of groups is about: ours before the SDK's before others."""
    found: list[BaseException] = []
    todo: list[BaseException] = [] if error is None else [error]
    while todo:
        item = todo.pop(0)
        if isinstance(item, BaseExceptionGroup):
            todo.extend(item.exceptions)
        else:
            found.append(item)
    ranked = sorted(
        found, key=lambda item: 0 if isinstance(item, ToolFailed) else 1 if isinstance(item, MCPError) else 2
    )
    return ranked[0] if ranked else None
