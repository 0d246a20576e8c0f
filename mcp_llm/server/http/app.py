"""The ASGI application: one endpoint, `/mcp`, for both eras of the protocol, and `/health` and `/ready` for operators.

Clients of 2026-07-28 need no session. Those of older versions have one, in the memory of the process that opened it: a
balancer has to keep them there, and a session that is not known is answered 404, on which clients begin again. What
lasts (runs, threads, budgets) is in the store that all processes share, where each looks for changes to tell of.
"""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic_core import from_json

from mcp_llm.errors import ConfigError, StoreError
from mcp_llm.server.principal import LOCAL
from mcp_llm.server.seal import Seal
from mcp_llm.server.steady import steady
from mcp_llm.server.untraced import spare

from .body import Bodies, Unread, replay
from .calls import GRACE, Calls, Exchange, follow
from .door import Door, Own
from .guard import Guard
from .log import AccessLog
from .rates import Rates
from .replies import busy, refuse, reply
from .sessions import Seats
from .tokens import FRESH, Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from anyio.abc import TaskGroup
    from mcp.server import MCPServer
    from mcp.server.streamable_http import EventStore
    from starlette.types import Receive, Scope, Send

    from mcp_llm.app import App
    from mcp_llm.config import Config
    from mcp_llm.llm.service import Service

    from .caller import Caller
    from .oauth import Issuer

logger = logging.getLogger(__name__)

PATH: Final = "/mcp"
HEADERS: Final = 100
PEEK: Final = 256 * 1024
"""Bytes of a body that is looked into for its method before the SDK reads it; a longer one is taken for a call."""
PRIVATE: Final = frozenset({b"authorization", b"proxy-authorization", b"cookie"})
"""Headers that end here: nothing behind the door can pass them on."""
LISTENING: Final = frozenset({"GET", "subscriptions/listen"})
"""What opens a stream that nothing ends but its client."""
READY_SECONDS: Final = 1.0
MODERN: Final = frozenset(version.encode() for version in MODERN_PROTOCOL_VERSIONS)


class Application:
    """Serve it while its `lifespan` is entered. `draining` refuses what is new; `calls` are those in flight.

    `asks` says whether nobody comes in without a token.
    """

    def __init__(self, config: Config, server: MCPServer[Any], opened: list[Service], calls: Calls, seal: Seal) -> None:
        http = config.settings.http
        self.config = config
        self.calls = calls
        self.draining = False
        self.asks = True
        self._server = server
        self._opened = opened
        self._seal = seal
        self._door: Door
        self._tasks: TaskGroup
        self.bodies = Bodies(http.max_body_bytes)
        self._rates = Rates()
        self._seats = Seats()
        self._ready = (0.0, False)
        self._metadata: dict[str, Any] = {}
        guard = Guard(self._route, hosts=http.allow_hosts, origins=http.allow_origins)
        self._log = AccessLog(guard) if http.access_log else None
        self._outer = self._log or guard

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Open the service and the sessions; at the end everything still running is cancelled and the store closed.

        Raises ConfigError where it cannot be known who may call.
        """
        spare(self._server, self.config.settings.telemetry)
        async with self._server.session_manager.run(), anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                await self._open()
                tasks.start_soon(steady, "looking for revoked tokens", self._dismiss)
                if self._log is not None:
                    tasks.start_soon(steady, "the access log", self._log.run)
                yield
            finally:
                tasks.cancel_scope.cancel()

    async def _open(self) -> None:
        http = self.config.settings.http
        if (app := self._app()) is None:  # a server that is not ours, with no store
            self._door, self.asks = Door(None, required=http.require_token), http.require_token
            return
        tokens = Tokens(app.store)
        self.asks = http.require_token or http.oauth is not None or bool(await tokens.all())
        if not app.store.durable:
            raise ConfigError(
                "the state database cannot be used, so nobody knows which tokens there are; `mcp-llm doctor` says why"
            )
        if self.asks:  # what lies where the server was started is nothing for callers from elsewhere
            files = self.config.settings.files.model_copy(update={"working_folder": False})
            app.config.settings = app.config.settings.model_copy(update={"files": files})
        await self._seal.share(app.store)
        issuer: Issuer | None = None
        challenge = ""
        if http.oauth is not None:
            from . import oauth

            issuer = oauth.Issuer(http.oauth, app.models.transport)
            challenge = oauth.challenge(http.oauth)
            self._metadata = dict.fromkeys(oauth.metadata_paths(http.oauth), oauth.metadata(http.oauth))
        self._door = Door(Own(tokens), issuer, required=self.asks, challenge=challenge)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. A fault of ours is logged here, where the one who serves us would keep it to itself."""
        try:
            await self._outer(scope, receive, send)
        except Exception:
            logger.exception("a request could not be answered")
            raise

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in {PATH, f"{PATH}/"}:
            await self._endpoint(scope, receive, send)
        elif path not in {"/health", "/ready", *self._metadata}:
            await refuse(send, 404, f"there is only {PATH} here")
        elif scope["method"] not in {"GET", "HEAD"}:
            await refuse(send, 405, "only GET", [(b"allow", b"GET, HEAD")])
        elif path in self._metadata:
            await reply(send, 200, self._metadata[path])
        elif path == "/health":
            await reply(send, 200, {"status": "ok"})
        elif self.draining:
            await reply(send, 503, {"status": "draining"})
        elif not await self._writable():
            await reply(send, 503, {"status": "no store"})
        else:
            await reply(send, 200, {"status": "ready"})

    def _app(self) -> App | None:
        return cast("App", self._opened[0]) if self._opened else None

    async def _writable(self) -> bool:
        """Whether the store takes a write; asked once a second at most, however often somebody looks."""
        asked, found = self._ready
        if time.monotonic() - asked > READY_SECONDS:
            self._ready = (time.monotonic(), found)
            try:
                if (app := self._app()) is not None:
                    await app.store.execute("UPDATE ledger SET id = id WHERE id = -1")
                found = app is None or app.store.durable
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
        elif (caller := await self._door.admit(scope, send)) is not None:
            _say(scope, principal=caller.principal)
            if method == "POST":
                await self._post(caller, scope, receive, send)
            else:
                await self._carry(_exchange(method, caller, _first(scope)), caller, scope, receive, send)

    async def _post(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _first(scope)
        exchange: Exchange | None = None
        try:
            body = await self.bodies.read(headers, receive)
        except Unread as exc:
            if exc.status == 503:
                await busy(send, 503, str(exc), 1)
            elif exc.status:
                await refuse(send, exc.status, str(exc))
            return
        try:
            if body.lstrip()[:1] == b"[":  # the SDK's words on it are a report of its validator's
                await refuse(send, 400, "a list of messages is not taken: send them one by one")
                return
            exchange = _exchange(_method(headers, body), caller, headers)
            _say(scope, rpc=exchange.method)
            if (not exchange.counted or await self._room(exchange, send)) and await self._seated(exchange, send):
                await self._carry(exchange, caller, scope, replay(body, receive), send)
        finally:
            self.bodies.release(body)
            if exchange is not None and exchange.seat is not None:
                exchange.seat.leave()

    async def _seated(self, exchange: Exchange, send: Send) -> bool:
        """Whether it opens no session, or this caller may have one more; if not, it has been answered."""
        if not exchange.opens:
            return True
        settings, who = self.config.settings, exchange.principal
        limits = settings.principals.get(who) or settings.principals.get("*")
        most = limits.sessions if limits is not None else None
        if most is None:
            most = settings.http.sessions if who == LOCAL else max(1, settings.http.sessions // 2)
        exchange.seat = self._seats.take(who, most)
        if exchange.seat is None:
            await busy(send, 429, f"{who} has {most} sessions open; end one with DELETE, or go on in it", 30)
        return exchange.seat is not None

    async def _room(self, exchange: Exchange, send: Send) -> bool:
        """Whether there is room for one more call, of anybody and of this caller; if not, it has been answered."""
        settings, who = self.config.settings, exchange.principal
        if self.calls.running >= settings.max_calls:
            self.calls.turns.came()
            await busy(send, 503, f"{settings.max_calls} calls are in flight; try again in a second", 1)
            return False
        limits = settings.principals.get(who) or settings.principals.get("*")
        if limits is None:
            return True
        if limits.at_once is not None and self.calls.of(who) >= limits.at_once:
            await busy(send, 429, f"{who} has {limits.at_once} calls in flight; try again when one has ended", 1)
            return False
        if limits.per_minute is not None and exchange.method in {"tools/call", "?"}:
            seconds = self._rates.take(who, limits.per_minute)
            if seconds:
                words = f"{who} may call {limits.per_minute} times a minute; try again in {seconds:.0f} s"
                await busy(send, 429, words, seconds)
                return False
        return True

    async def _carry(self, exchange: Exchange, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        inner = {**scope, "headers": [one for one in scope["headers"] if one[0] not in PRIVATE], "query_string": b""}
        handle = self._server.session_manager.handle_request
        if caller.principal == LOCAL:
            await self.calls.carry(exchange, handle, inner, receive, send, self._tasks)
            return
        listens = exchange.method in LISTENING
        exchange.stays = partial(self._door.lets_stay, scope, expired=not listens)
        inner["user"] = user = caller.user()
        before = auth_context_var.set(user)
        try:
            with anyio.CancelScope() as stream:
                exchange.stream = stream if listens else None
                await self.calls.carry(exchange, handle, inner, receive, send, self._tasks)
        finally:
            auth_context_var.reset(before)

    async def _dismiss(self) -> None:
        """End calls and streams whose token is revoked; any process may do that, and tells nobody."""
        while True:
            await anyio.sleep(FRESH)
            await self.calls.dismiss("the token of this call has been revoked")


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
    seal = Seal()
    if server is None:
        from mcp_llm.server.build import build as ours

        server = ours(config, opened, seal=seal)
    server.middleware.append(follow)
    server.streamable_http_app(
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # the guard's work
        max_request_body_size=config.settings.http.max_body_bytes,
        max_sessions=config.settings.http.sessions,
        event_store=event_store,
        retry_interval=retry_interval,
    )
    calls = Calls(config.settings.max_calls, grace=grace, resumable=event_store is not None)
    return Application(config, server, opened, calls, seal)


def _say(scope: Scope, **words: str) -> None:
    """For the access log, if there is one."""
    scope.get("mcp_llm.said", {}).update(words)


def _first(scope: Scope) -> dict[bytes, bytes]:
    """The headers; of one that comes twice the first, as the SDK has it: it may not see another call than we count."""
    return dict(reversed(scope["headers"]))


def _exchange(method: str, caller: Caller, headers: Mapping[bytes, bytes]) -> Exchange:
    return Exchange(method, caller.principal, caller.tools, headers.get(b"mcp-session-id"))


def _method(headers: Mapping[bytes, bytes], body: bytes) -> str:
    """What a message asks for; empty for a notification and for an answer, `?` for what cannot be told.

    Clients of 2026-07-28 say it in a header, and the SDK refuses a message that is another.
    """
    if headers.get(b"mcp-protocol-version") in MODERN and (said := headers.get(b"mcp-method")):
        return said.decode("latin-1")
    if len(body) > PEEK:
        return "?"
    try:
        message = from_json(body)
    except ValueError:
        return "?"
    if not isinstance(message, dict) or not isinstance(method := message.get("method", ""), str):
        return "?"
    return method if "id" in message else ""
