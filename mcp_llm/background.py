"""Where the Python functions run: a Service for each event loop, and a loop in the background for code without one."""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel

from mcp_llm.app import open_app
from mcp_llm.llm.backends import check

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from anyio.from_thread import BlockingPortal

    from mcp_llm.llm.service import Service

T = TypeVar("T")


class Background:
    """The background loop of the sync functions: started at the first call, ended with the interpreter."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._context: AbstractContextManager[BlockingPortal] | None = None
        self._portal: BlockingPortal | None = None
        self._running: Future[None] | None = None
        """Done once the loop has ended, whoever ended it."""
        self._parents: list[object] = []

    def call(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run an async function there and wait for its result; an interrupt (Ctrl-C) while waiting stops it."""
        future: Future[T] = self.portal().start_task_soon(function, *args)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # does nothing where the function itself has failed
            raise

    def portal(self) -> BlockingPortal:
        """The way onto that loop."""
        with self._lock:
            if self._portal is None or self._running is None or self._running.done():
                first = self._context is None
                # One that has ended is not left again: what ended it was raised where it happened.
                self._context = anyio.from_thread.start_blocking_portal()
                self._portal = self._context.__enter__()
                self._running = self._portal.start_task_soon(anyio.sleep_forever)
                if first:
                    atexit.register(self.close)
            return self._portal

    def close(self) -> None:
        """End it; registered to run at exit."""
        with self._lock:
            context, self._context, portal, self._portal = self._context, None, self._portal, None
            running, self._running = self._running, None
        if context is not None and portal is not None and running is not None and not running.done():
            portal.call(opened.close)
            portal.call(portal.stop, True)  # calls of threads that nobody waits for must not hold up the end
            context.__exit__(None, None, None)

    def forget(self) -> None:
        """In a forked child: the loop's thread stayed with the parent. Kept, not closed: its sockets are shared."""
        self._lock = threading.Lock()
        self._parents.append((self._context, self._portal, self._running))
        self._context = self._portal = self._running = None


class Services:
    """One Service for each event loop: connections belong to the loop that made them.

    Code that is not async itself may run a loop for every call of ours, so those of loops that have ended are closed.
    """

    def __init__(self) -> None:
        self._registered: dict[str, object] = {}
        self._open: dict[Any, tuple[AsyncExitStack, Service]] = {}
        self._parents: list[object] = []

    async def get(self) -> Service:
        """The Service of the running loop, opened at the first call."""
        loop = anyio.lowlevel.current_token().native_token
        found = self._open.get(loop)
        if found is None:
            stack = AsyncExitStack()
            service = await stack.enter_async_context(open_app())
            for name, provider in self._registered.items():
                service.register(name, provider)
            found = self._open[loop] = (stack, service)
            await self._sweep()
        return found[1]

    async def _sweep(self) -> None:
        """Close what is left of loops that have ended, each once: other threads may come by."""
        for loop in [loop for loop in list(self._open) if _has_ended(loop)]:
            stack, _ = self._open.pop(loop, (None, None))
            if stack is not None:
                with suppress(Exception):  # its sockets cannot say goodbye any more
                    await stack.aclose()

    async def close(self) -> None:
        """Close the Service of the running loop; the next call opens another."""
        found = self._open.pop(anyio.lowlevel.current_token().native_token, None)
        if found is not None:
            await found[0].aclose()

    def forget(self) -> None:
        """In a forked child: what is open belongs to the parent's loops, and closing its database would disturb it."""
        self._parents.append(list(self._open.items()))
        self._open = {}

    def register(self, name: str, provider: object) -> None:
        """A provider in code, for every Service, those that are open and those to come."""
        check(name, provider)  # now, or every later opening would fail at it
        self._registered[name] = provider
        for _, service in list(self._open.values()):
            service.register(name, provider)


def _has_ended(loop: Any) -> bool:
    is_closed = getattr(loop, "is_closed", None)
    return is_closed is not None and bool(is_closed())


opened = Services()
background = Background()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=background.forget)
    os.register_at_fork(after_in_child=opened.forget)
