"""Tells hosts what has changed: lists when files do, subscribed resources when their mark does; to each its own.

In the handshake era by `resources/subscribe` and notifications, since 2026-07-28 on the stream of
`subscriptions/listen`. Marks are looked at only while somebody is subscribed, so changes by other processes count too.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp import MCPError
from mcp.server.lowlevel import NotificationOptions
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp.types import (
    INVALID_PARAMS,
    EmptyResult,
    NotificationParams,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    UnsubscribeRequestParams,
)

from mcp_llm.errors import Error, InvalidInput

from .principal import current
from .resources.address import parse
from .resources.serve import ROOMS, refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server import MCPServer
    from mcp.server.session import ServerSession
    from mcp.server.subscriptions import ServerEvent

    from mcp_llm.app import App

    from .life import Life

logger = logging.getLogger(__name__)

MARKS: Final = 1.0
LISTS: Final = 5.0
"""Seconds between looks at a subscribed resource, and at the files that lists are made of."""
MOST: Final = 100
"""Resources one connection, or one listening call, may follow."""
STREAMS: Final = 1000
FOLLOWED: Final = 2000
"""Listening calls, and resources that are looked at, at once in one process."""
SLOW: Final = 1.0
"""Seconds a client may take to read a notification before it goes without."""


class _Stream:
    """The bus of one listening call: what is everybody's business, and what this caller follows."""

    def __init__(self, shared: InMemorySubscriptionBus) -> None:
        self._shared = shared
        self._own = InMemorySubscriptionBus()

    async def publish(self, event: ServerEvent) -> None:
        await self._own.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        ends = (self._shared.subscribe(listener), self._own.subscribe(listener))

        def unsubscribe() -> None:
            for end in ends:
                end()

        return unsubscribe


@dataclass(slots=True)
class Changes:
    """Who is to be told. `shared` carries only what every caller may know."""

    marks: float = MARKS
    lists: float = LISTS
    shared: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    _sessions: dict[int, ServerSession] = field(default_factory=dict)
    _followed: dict[tuple[int, str], anyio.CancelScope] = field(default_factory=dict)
    _streams: int = 0
    _looked_at: int = 0
    _somebody: anyio.Event = field(default_factory=anyio.Event)

    def install(self, server: MCPServer[Life]) -> None:
        """Serve subscriptions in both eras, and say so in both."""
        low = server._lowlevel_server  # the handshake's own methods and flags have no public place
        low.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self._listen)
        low.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)
        low.add_notification_handler("notifications/initialized", NotificationParams, self._greet)
        told = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        options = functools.partial(low.create_initialization_options, notification_options=told)
        low.create_initialization_options = options  # type: ignore[method-assign]  # its callers pass no options

    async def watch(self, app: App) -> None:
        """Look at the files that lists are made of while there is somebody to tell, for ever.

        Who comes is told of what changed before, too: it may have kept a list from then.
        """
        before = _files(app)
        while True:
            if not self._sessions and not self._streams:
                self._somebody = anyio.Event()
                await self._somebody.wait()
            await anyio.sleep(self.lists)
            now = _files(app)
            if now[0] != before[0]:
                await self.tell(PromptsListChanged())
            if now != before:
                await self.tell(ResourcesListChanged())
            before = now

    async def tell(self, event: ServerEvent) -> None:
        """A list has changed; everybody is told."""
        await self.shared.publish(event)
        async with anyio.create_task_group() as tasks:  # one that does not read holds up none of the others
            for session in self._sessions.values():
                tasks.start_soon(_told, session, event)

    async def _greet(self, ctx: Any, params: NotificationParams) -> None:
        connection = ctx.session._connection  # where a connection's end is told
        if id(connection) in self._sessions:  # it says so again, which makes it no second one
            return
        self._sessions[id(connection)] = ctx.session
        self._somebody.set()
        connection.exit_stack.callback(self._forget, id(connection))

    def _forget(self, connection: int) -> None:
        self._sessions.pop(connection, None)
        for key in [key for key in self._followed if key[0] == connection]:
            self._followed.pop(key).cancel()

    async def _subscribe(self, ctx: Any, params: SubscribeRequestParams) -> EmptyResult:
        app, uri, session = ctx.lifespan_context.service, str(params.uri), ctx.session
        key = (id(session._connection), uri)
        if key in self._followed:
            return EmptyResult()
        if sum(one == key[0] for one, _ in self._followed) >= MOST or self._looked_at >= FOLLOWED:
            words = "too many resources are followed already: unsubscribe from one, or read it now and then"
            raise MCPError(INVALID_PARAMS, words, {"uri": uri})
        # Taken before anything is awaited: asked for twice at once, the second would be followed and never let go.
        scope = self._followed[key] = anyio.CancelScope()
        try:
            look = await _looking(app, uri)
        except BaseException as exc:
            if self._followed.get(key) is scope:
                del self._followed[key]
            if isinstance(exc, Error):
                raise refused(exc, uri) from None
            raise

        async def tell() -> None:
            with anyio.move_on_after(SLOW):
                await session.send_resource_updated(uri)

        async def follow() -> None:
            with scope:
                await self._follow(look, tell)

        ctx.lifespan_context.tasks.start_soon(follow)
        return EmptyResult()

    async def _unsubscribe(self, ctx: Any, params: UnsubscribeRequestParams) -> EmptyResult:
        scope = self._followed.pop((id(ctx.session._connection), str(params.uri)), None)
        if scope is not None:
            scope.cancel()
        return EmptyResult()

    async def _listen(self, ctx: Any, params: SubscriptionsListenRequestParams) -> Any:
        uris = list(dict.fromkeys(map(str, params.notifications.resource_subscriptions or ())))
        if len(uris) > MOST:
            raise MCPError(INVALID_PARAMS, f"a call may listen to {MOST} resources, this one names {len(uris)}")
        if self._streams >= STREAMS or self._looked_at + len(uris) > FOLLOWED:
            raise MCPError(INVALID_PARAMS, "too many calls listen already: close some, or read now and then")
        app, stream = ctx.lifespan_context.service, _Stream(self.shared)
        self._streams += 1
        try:
            async with anyio.create_task_group() as tasks:
                for uri in uris:
                    try:  # marked before the acknowledgement: what changes after it is not missed
                        look = await _looking(app, uri)
                    except Error:
                        continue  # honoured, and never fires
                    tasks.start_soon(self._follow, look, functools.partial(stream.publish, ResourceUpdated(uri)))
                self._somebody.set()
                given = await ListenHandler(stream)(ctx, params)
                tasks.cancel_scope.cancel()
            return given
        finally:
            self._streams -= 1

    async def _follow(self, look: _Looking, tell: Callable[[], Awaitable[None]]) -> None:
        self._looked_at += 1
        try:
            while look.can_change:
                await anyio.sleep(self.marks)
                try:
                    changed = await look()
                except InvalidInput:  # it is gone, and nobody learns of it what a read would not say
                    return
                except Error:  # a disk that fails now may work later
                    continue
                except Exception:  # a fault of ours, in a task group that everybody's work is in
                    logger.exception("a resource that is followed could not be looked at, and is not any more")
                    return
                if changed:
                    await tell()
        finally:
            self._looked_at -= 1


async def _told(session: ServerSession, event: ServerEvent) -> None:
    with anyio.move_on_after(SLOW):
        if isinstance(event, PromptsListChanged):
            await session.send_prompt_list_changed()
        elif isinstance(event, ToolsListChanged):
            await session.send_tool_list_changed()
        elif isinstance(event, ResourcesListChanged):
            await session.send_resource_list_changed()


@dataclass(slots=True)
class _Looking:
    """One resource as one caller sees it; calling it says whether it has changed since."""

    mark: Callable[[], Awaitable[Any]]
    before: Any

    @property
    def can_change(self) -> bool:
        return self.before is not None

    async def __call__(self) -> bool:
        now = await self.mark()
        changed = now != self.before
        self.before = now
        return bool(changed)


async def _looking(app: App, uri: str) -> _Looking:
    """Raises InvalidInput for what the caller could not read."""
    address = parse(uri)
    if address is None or (room := ROOMS.get(address.scheme)) is None:

        async def never() -> Any:
            return None

        return _Looking(never, None)
    mark = functools.partial(room.mark, app, current(), address)
    return _Looking(mark, await mark())


def _files(app: App) -> tuple[Any, Any]:
    try:
        made = app.artifacts.folder.stat().st_mtime_ns
    except OSError:
        made = None
    return app.prompts.state(), made
