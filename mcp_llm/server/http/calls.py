"""The requests in flight: counted, ended one by one or all at once, and let go when nobody can hear their answer.

A client of 2026-07-28 that goes ends its call by that. An older one's call goes on in its session, where the SDK leaves
it for ever: nothing is kept to send the answer with later, so after a grace it is cancelled (what arrived stays in its
run). A run that has been handed back is no request any more, and goes on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, TextContent

from .replies import SERVER_ERROR
from .scopes import narrow
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .sessions import Seat

GRACE: Final = 25.0
"""Seconds that a call of an older client outlives its connection; 30 are promised."""
KEY: Final = "mcp_llm.exchange"
"""The exchange's place in the ASGI scope, where the handler of the message finds it."""


@dataclass(slots=True, eq=False)
class Exchange:
    """One HTTP request and what it set going. `method` is the message's, or the HTTP verb of one without."""

    method: str
    principal: str
    tools: Sequence[str] | None = None
    """Globs of the tools that may be called; None for all."""
    session: bytes | None = None
    stays: Callable[[], Awaitable[bool]] | None = None
    """Whether its caller may still stay; None for one who needs no leave."""
    answered: bool = False
    why: str = "nobody waits for this call any more"
    handlers: set[anyio.CancelScope] = field(default_factory=set)
    idle: anyio.Event | None = None
    """Set when the last handler has ended, where somebody waits for that."""
    stream: anyio.CancelScope | None = None
    """Of one that only listens; cut where its caller may not stay."""
    seat: Seat | None = None
    """Of one that may open a session."""

    def end(self, why: str) -> None:
        """Cancel what it set going; whoever still waits for an answer is told why."""
        self.why = why
        for scope in self.handlers:
            scope.cancel()

    @property
    def counted(self) -> bool:
        """Whether it is work; the others only listen, say that they are there, or answer us."""
        return self.method not in UNCOUNTED

    @property
    def opens(self) -> bool:
        """Whether a session may come of it."""
        return self.session is None and self.method in OPENING


UNCOUNTED: Final = frozenset({"GET", "DELETE", "", "subscriptions/listen", "initialize", "ping", "server/discover"})
"""An empty method is a notification's or an answer's: a call that is cancelled has to hear of it at any time."""
OPENING: Final = frozenset({"initialize", "?"})


class Calls:
    """What is in flight on the endpoint, `most` at a time.

    `resumable` says that events are kept, so a session may come back for them.
    """

    def __init__(self, most: int, *, grace: float = GRACE, resumable: bool = False) -> None:
        self.grace = grace
        self._resumable = resumable
        self._open: set[Exchange] = set()
        self._running: Counter[str] = Counter()
        self._empty: anyio.Event | None = None
        self.turns = Turns(lambda: self.running > most // 2)

    @property
    def running(self) -> int:
        """Requests that are work and not yet done with, those of vanished clients included."""
        return self._running.total()

    def of(self, principal: str) -> int:
        """Those of one principal."""
        return self._running[principal]

    async def carry(
        self, exchange: Exchange, app: ASGIApp, scope: Scope, receive: Receive, send: Send, tasks: TaskGroup
    ) -> None:
        """Have the application answer, and see to what it leaves behind when the client goes before.

        The scope gets the exchange. Only in a session can something be left: else the answer is the handler's end.
        """
        scope[KEY] = exchange

        async def watched(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                exchange.answered = True

        self._open.add(exchange)
        self._running[exchange.principal] += exchange.counted
        try:
            if exchange.counted:
                await self.turns.wait(tasks)
            await app(scope, receive, send if exchange.session is None else watched)
        finally:
            self._open.discard(exchange)
            if exchange.handlers and not exchange.answered:
                tasks.start_soon(self._vanished, exchange)
            else:
                self._done(exchange)

    def _done(self, exchange: Exchange) -> None:
        self._running[exchange.principal] -= exchange.counted
        if not self._running[exchange.principal]:
            del self._running[exchange.principal]
        if self._empty is not None and not self.running:
            self._empty.set()

    async def _vanished(self, exchange: Exchange) -> None:
        """Nobody hears the answer: wait a while, because the client may say what it wants, then end the work."""
        self._open.add(exchange)
        exchange.idle = anyio.Event()
        try:
            while exchange.handlers:
                with anyio.move_on_after(self.grace):
                    await exchange.idle.wait()
                if not self._returned(exchange):
                    exchange.end("its client is gone")
                    await exchange.idle.wait()
        finally:
            self._open.discard(exchange)
            self._done(exchange)

    def _returned(self, exchange: Exchange) -> bool:
        return self._resumable and any(
            other.session == exchange.session and not other.answered and other is not exchange for other in self._open
        )

    async def drained(self) -> None:
        """Return when no work is left."""
        while self.running:
            self._empty = anyio.Event()
            await self._empty.wait()

    async def dismiss(self, why: str) -> None:
        """End those whose caller may not stay, vanished ones included."""
        for exchange in list(self._open):
            if exchange.stays is not None and not await exchange.stays():
                exchange.stream.cancel() if exchange.stream is not None else exchange.end(why)

    def end(self, why: str) -> None:
        """Cancel all work; its clients are told why."""
        for exchange in list(self._open):
            exchange.end(why)


async def follow(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """MCP middleware: whatever a request sets going can be ended through its exchange, and keeps to its tools."""
    exchange = ctx.request.scope.get(KEY) if ctx.request is not None else None
    if exchange is None or ctx.request_id is None:
        return await call_next(ctx)
    if exchange.seat is not None and ctx.method == "initialize":
        exchange.seat.keep(ctx.session._connection.exit_stack)  # where a connection's end is told
    scope = anyio.CancelScope()
    exchange.handlers.add(scope)
    try:
        with scope:
            if exchange.tools is not None:
                return await narrow(exchange.tools, ctx, call_next)
            return await call_next(ctx)
    finally:
        exchange.handlers.discard(scope)
        if exchange.idle is not None and not exchange.handlers:
            exchange.idle.set()
    if ctx.method == "tools/call":  # as a tool's result, because hosts show the others to nobody
        return CallToolResult(content=[TextContent(type="text", text=exchange.why)], is_error=True)
    raise MCPError(SERVER_ERROR, exchange.why)
