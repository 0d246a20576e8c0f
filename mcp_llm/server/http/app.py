"""The ASGI application: one endpoint, `/mcp`, for both eras of the protocol, and `/health` and `/ready` for operators.

Clients of 2026-07-28 need no session. Those of older versions have one, in the memory of the process that opened it: a
balancer has to keep them there, and a session that is not known is answered 404, on which clients begin again. What
lasts (runs, threads, budgets) is in the store that all processes share. Notices of changes stay within a process.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.server.transport_security import TransportSecuritySettings
from pydantic_core import from_json

from mcp_llm.errors import StoreError
from mcp_llm.server import build as building

from .body import Bodies, Unread, replay
from .calls import GRACE, Calls, Exchange, follow
from .guard import Guard
from .log import AccessLog
from .replies import busy, refuse, reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup
    from mcp.server import MCPServer
    from mcp.server.streamable_http import EventStore
    from starlette.types import Receive, Scope, Send

    from mcp_llm.config import Config
    from mcp_llm.llm.service import Service

PATH: Final = "/mcp"
HEADERS: Final = 100
PEEK: Final = 256 * 1024
"""Bytes of a body that is looked into for its method before the SDK reads it; a longer one is taken for a call."""
PRIVATE: Final = frozenset({b"authorization", b"proxy-authorization", b"cookie"})
"""Headers that end here: nothing behind the door can pass them on."""
READY_SECONDS: Final = 1.0


class Application:
    """Serve it while its `lifespan` is entered. `draining` refuses what is new; `calls` are those in flight."""

    def __init__(self, config: Config, server: MCPServer[Any], opened: list[Service], calls: Calls) -> None:
        http = config.settings.http
        self.config = config
        self.calls = calls
        self.draining = False
        self._server = server
        self._opened = opened
        self._bodies = Bodies(http.max_body_bytes)
        self._tasks: TaskGroup
        self._ready = (0.0, False)
        guard = Guard(self._route, hosts=http.allow_hosts, origins=http.allow_origins)
        self._outer = AccessLog(guard) if http.access_log else guard

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Open the service and the sessions; at the end everything still running is cancelled and the store closed."""
        async with self._server.session_manager.run(), anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self.calls.close()
                tasks.cancel_scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._outer(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == PATH:
            await self._endpoint(scope, receive, send)
        elif path not in {"/health", "/ready"}:
            await refuse(send, 404, f"there is only {PATH} here")
        elif scope["method"] not in {"GET", "HEAD"}:
            await refuse(send, 405, "only GET", [(b"allow", b"GET, HEAD")])
        elif path == "/health":
            await reply(send, 200, {"status": "ok"})
        elif self.draining:
            await reply(send, 503, {"status": "draining"})
        elif not await self._writable():
            await reply(send, 503, {"status": "no store"})
        else:
            await reply(send, 200, {"status": "ready"})

    async def _writable(self) -> bool:
        """Whether the store takes a write; asked once a second at most, however often somebody looks."""
        asked, found = self._ready
        if time.monotonic() - asked > READY_SECONDS:
            self._ready = (time.monotonic(), found)
            store = self._opened[0].store if self._opened else None  # type: ignore[attr-defined]  # an App
            try:
                if store is not None:
                    await store.execute("UPDATE ledger SET id = id WHERE id = -1")
                found = store is None or store.durable
            except StoreError:
                found = False
            self._ready = (time.monotonic(), found)
        return found

    async def _endpoint(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method not in {"POST", "GET", "DELETE"}:
            await refuse(send, 405, "only POST, GET and DELETE", [(b"allow", b"POST, GET, DELETE")])
        elif len(scope["headers"]) > HEADERS:
            await refuse(send, 431, f"more than {HEADERS} headers")
        elif self.draining:
            await busy(send, 503, "this server is ending; try again in a moment", 1)
        elif method == "POST":
            await self._post(scope, receive, send)
        else:
            await self._carry(Exchange(method, _header(scope, b"mcp-session-id")), scope, receive, send)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = (_header(scope, b"content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            await refuse(send, 415, "the body has to be application/json")
            return
        try:
            body = await self._bodies.read(scope, receive)
        except Unread as exc:
            if exc.status == 503:
                await busy(send, 503, str(exc), 1)
            elif exc.status:
                await refuse(send, exc.status, str(exc))
            return
        try:
            exchange = Exchange(_method(scope, body), _header(scope, b"mcp-session-id"))
            scope["mcp_llm.said"]["rpc"] = exchange.method
            limit = self.config.settings.max_calls
            if exchange.counted and self.calls.running >= limit:
                await busy(send, 503, f"{limit} calls are in flight; try again in a second", 1)
                return
            await self._carry(exchange, scope, replay(body, receive), send)
        finally:
            self._bodies.release(body)

    async def _carry(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        inner = {**scope, "headers": [one for one in scope["headers"] if one[0] not in PRIVATE], "query_string": b""}
        await self.calls.carry(exchange, self._server.session_manager.handle_request, inner, receive, send, self._tasks)


def build(
    config: Config,
    server: MCPServer[Any] | None = None,
    opened: list[Service] | None = None,
    *,
    grace: float = GRACE,
    event_store: EventStore | None = None,
    retry_interval: int | None = None,
) -> Application:
    """The application for this configuration; nothing is opened before its `lifespan` is entered.

    `server` is ours with more tools on it, made by `mcp_llm.server.build.build(config, opened)`; the list `opened`
    goes with it. Events for resuming a stream are kept only where an `event_store` is given: we give none, because a
    run that goes on is read by its id.
    """
    opened = [] if opened is None else opened
    server = server or building.build(config, opened)
    server.middleware.append(follow)
    server.streamable_http_app(
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # the guard's work
        max_request_body_size=config.settings.http.max_body_bytes,
        max_sessions=config.settings.http.sessions,
        event_store=event_store,
        retry_interval=retry_interval,
    )
    return Application(config, server, opened, Calls(grace=grace, resumable=event_store is not None))


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def _method(scope: Scope, body: bytes) -> str:
    """What a message asks for; empty for a notification and for an answer, `?` for what cannot be told."""
    if len(body) > PEEK:
        return _header(scope, b"mcp-method") or "?"
    try:
        message = from_json(body)
    except ValueError:
        return "?"
    if not isinstance(message, dict) or not isinstance(method := message.get("method", ""), str):
        return "?"
    return method if "id" in message else ""
