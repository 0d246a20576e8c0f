"""A connected MCP server as a toolset. Whatever it does - die, hang, lie, flood - costs its own tools only.

One task (`own`) enters and leaves the SDK's client, because that has to be the same one; calls come from any task.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
import anyio.abc
import anyio.lowlevel
from mcp.client import Client
from mcp.client.subscriptions import ListenNotSupportedError
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    REQUEST_TIMEOUT,
    CallToolResult,
    Implementation,
    PaginatedRequestParams,
)
from pydantic import ValidationError

from mcp_llm.errors import Error, ToolFailed
from mcp_llm.types.chat import ToolSpec
from mcp_llm.types.message import Text, ToolResult

from . import pins, text
from .base import Tool, Tools, failed, fingerprint
from .blocks import parts
from .compose import Filter
from .listing import MOST_PAGES, MOST_TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable

    import mcp_types

    from mcp_llm.settings import Approval, Server

    from .guard import Guard

RESTARTS: Final = 3
REFRESH_SECONDS: Final = 1.0
_LAST_WORDS: Final = 1500


class Transport(Protocol):
    """The bounded other end: a transport of the SDK's that says when and why it was lost."""

    guard: Guard
    lost: anyio.Event
    fault: str | None

    @property
    def words(self) -> str:
        """The last lines of its stderr."""


class Remote:
    """One configured server. Started by `own` in a task of its own; until then, and without it, it has no tools.

    `error` is None while it is connected, else a sentence for people and models; `notes` say what was left out of its
    tools, `changed` which of them are off because they are not what the user agreed to.
    """

    def __init__(
        self,
        name: str,
        server: Server,
        dial: Callable[[], Any],
        *,
        pinned: pins.Pins | None = None,
        version: str = "0",
    ) -> None:
        self.name = name
        self.error: str | None = f"The server {name!r} has not been started."
        self.notes: list[str] = []
        self.changed: set[str] = set()
        self.instructions: str | None = None
        self._server = server
        self._dial = dial
        self._pins = pinned or pins.NoPins()
        self._info = Implementation(name="mcp-llm", version=version)
        self._filter = Filter(self, server.allow, server.deny)
        self._client: Client | None = None
        self._transport: Any = None
        self._tools: dict[str, Tool] = {}
        self._listed = -math.inf
        self._refreshing = anyio.Lock()
        self._restarts = 0
        self._wanted = anyio.Event()
        self._settled = anyio.Event()
        self._stopped = anyio.Event()

    async def own(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Connect, stay, and connect again when a call wants it, at most three times; `started` after the first try."""
        while not self._stopped.is_set():
            self._wanted, self._settled = anyio.Event(), anyio.Event()
            connected = await self._connected_once(task_status)
            self._settled.set()
            if not connected and self._restarts == 0:
                task_status.started()
                return
            if self._restarts >= RESTARTS:
                break
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_cancel_when, self._stopped, tasks.cancel_scope)
                await self._wanted.wait()
                tasks.cancel_scope.cancel()
            self._restarts += 1
        self._settled.set()

    def stop(self) -> None:
        """Let `own` leave the connection and return."""
        self._stopped.set()

    async def list(self) -> Tools:
        """The allowed tools, by the server's own names; read again when it says that they changed."""
        if self._client is not None and self._transport.guard.changed:
            await self._refresh(self._client)
        return [tool for name, tool in self._tools.items() if self._filter.passes(name) and name not in self.changed]

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        call_id: str = "",
        meta: dict[str, Any] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        """Call a tool within the server's `call_timeout_s`; one that may be repeated is, once, if the server is lost."""
        if refusal := self._refusal(name):
            return failed(call_id, name, refusal)
        seconds = self._server.call_timeout_s
        with anyio.move_on_after(seconds):
            for attempt in (1, 2):
                if not await self._available():
                    return failed(call_id, name, self.error or f"The server {self.name!r} is not connected.")
                try:
                    return await self._ask(name, arguments, call_id, meta, progress)
                except _Lost as lost:
                    await self._ended()
                    if attempt == 1 and self._tools[name].repeatable:
                        continue
                    return failed(call_id, name, self._gone(lost, self._tools[name].repeatable))
        return failed(
            call_id,
            name,
            f"{name} of the server {self.name!r} did not answer within {seconds:g} s and was cancelled. "
            "It may have taken effect: check before you call it again.",
        )

    def _refusal(self, name: str) -> str | None:
        if name not in self._tools:
            return self.error or f"The server {self.name!r} has no tool {text.line(name, 100)!r}."
        if not self._filter.passes(name):
            return f"The tool {text.line(name, 100)!r} is not allowed here."
        if name in self.changed:
            return (
                f"The tool {text.line(name, 100)!r} of the server {self.name!r} is not what the user agreed to: "
                "it is off until the user approves it again."
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
                amount = f"{done:g}/{total:g}" if total else f"{done:g}"
                progress(text.line(message) if message else amount)

        try:
            result = await self._client.session.call_tool(
                name,
                arguments,
                progress_callback=told if progress is not None else None,
                meta=meta,  # type: ignore[arg-type]  # any keys may travel
                allow_input_required=True,
                allow_claimed=True,
            )
        except MCPError as error:
            if error.code == CONNECTION_CLOSED or (error.code == INVALID_REQUEST and "terminated" in error.message):
                raise _Lost(error.message) from None
            if error.code == REQUEST_TIMEOUT:
                return failed(call_id, name, f"{name} of the server {self.name!r} did not answer in time.")
            return failed(call_id, name, f"{name} failed: {text.clean(error.message, 2048)}")
        except ValidationError as wrong:
            first = wrong.errors(include_url=False, include_input=False)[0]
            where = text.line(".".join(str(piece) for piece in first["loc"]))
            return failed(
                call_id,
                name,
                f"The server {self.name!r} answered {name} with something that is no MCP result ({where}: "
                f"{first['msg']}). It may have taken effect.",
            )
        except (anyio.ClosedResourceError, anyio.BrokenResourceError, RuntimeError) as error:
            raise _Lost(type(error).__name__) from None
        if not isinstance(result, CallToolResult):
            return failed(
                call_id, name, f"{name} wants to ask the user something first, which is not offered here: not done."
            )
        return ToolResult(call_id, name, parts(result) or (Text("done"),), bool(result.is_error))

    async def _available(self) -> bool:
        """Whether there is a connection, after trying for one where that is still allowed."""
        if self._client is not None and not self._transport.lost.is_set():
            return True
        await self._ended()
        if self._restarts >= RESTARTS or self._stopped.is_set():
            return False
        settled = self._settled
        if settled.is_set():
            self._wanted.set()
            with anyio.move_on_after(self._server.start_timeout_s + 5):
                while self._settled is settled:
                    await anyio.lowlevel.checkpoint()
                    if not self._wanted.is_set():
                        break
                await self._settled_or_connected()
        return self._client is not None

    async def _settled_or_connected(self) -> None:
        await self._settled.wait()

    async def _ended(self) -> None:
        """Wait until the owner has noticed the loss, which is a matter of a few turns of the loop."""
        with anyio.move_on_after(5):
            while self._client is not None and self._transport.lost.is_set():
                await anyio.sleep(0.005)
