"""Many calls from Python, so many at a time, each handed back as it ends; for code with an event loop and without.

The calls run on the background loop of the sync functions, so that requests may be added while others are awaited, from
wherever.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import anyio

from mcp_llm.background import background
from mcp_llm.errors import InvalidInput
from mcp_llm.store.sqlite import scheduler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Future

    from mcp_llm.types.result import Generated

MOST: Final = 256


@dataclass(slots=True, eq=False)
class BatchRequest:
    """One call of a batch. Afterwards either `response` (the text; `result` is the whole) or `error` is there.

    `contents`, `model` and `arguments` are what is asked, as in `generate`. `duration` is in seconds, None until it has
    ended; `model_used` names the model that really answered. Anything may be hung on `tag`.
    """

    contents: Any
    model: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    tag: Any = None
    result: Generated | None = None
    error: Exception | None = None
    duration: float | None = None

    @property
    def response(self) -> str | None:
        """The answer's text; None until there is one."""
        return None if self.result is None else self.result.response

    @property
    def model_used(self) -> str | None:
        """The model that answered."""
        return None if self.result is None else self.result.model_used


class Batch:
    """Calls with at most `max_concurrent` in flight: `create` or `add` them, then `drain` gives each as it ends.

        batch = Batch(max_concurrent=5)
        for text in texts:
            batch.create(f"Summarize: {text}", model="lite")
        for request in batch.drain():  # in async code: async for request in batch.drain()
            print(request.response or request.error)

    A call begins when it is added, if there is room. One that fails is handed out with its `error`. Leaving `drain`
    early leaves the rest running, to be drained later; `close`, or the end of a `with`, ends them. Several may drain at
    once, from different threads too: each request is handed to one of them.
    """

    def __init__(self, max_concurrent: int = 5) -> None:
        if not 0 < max_concurrent <= MOST:
            raise InvalidInput(f"`max_concurrent` is {str(max_concurrent)[:60]}; it has to be from 1 to {MOST}")
        self._room = max_concurrent
        self._limiter: anyio.Semaphore | None = None
        self._ended: queue.SimpleQueue[BatchRequest | None] = queue.SimpleQueue()
        self._open: set[BatchRequest] = set()
        self._futures: set[Future[None]] = set()
        self._wakers: list[Callable[[], object]] = []
        self._owed = 0
        self._lock = threading.Lock()

    def create(self, contents: Any, model: str | None = None, *, tag: Any = None, **arguments: Any) -> BatchRequest:
        """A request with the `contents`, `model` and `arguments` of `generate`, added; `tag` is what you like."""
        return self.add(BatchRequest(contents, model, arguments, tag))

    def add(self, request: BatchRequest) -> BatchRequest:
        """Begin the request as soon as there is room. Raises InvalidInput for one that was added before."""
        if request.duration is not None or request in self._open:
            raise InvalidInput("this request was added before: make another")
        with self._lock:
            self._owed += 1
        self._open.add(request)
        future = background.portal().start_task_soon(self._call, request)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return request

    def drain(self) -> Drained:
        """Every added request as it ends, those that are added meanwhile too; it ends when none is left."""
        return Drained(self)

    drain_batch = drain

    def __len__(self) -> int:
        """Requests that were added and not handed out."""
        return self._owed

    def close(self) -> None:
        """End what is under way; nothing that was added before is handed out any more."""
        with self._lock:
            self._owed = 0
            self._open.clear()
            with suppress(queue.Empty):  # else what is added later would be taken for it
                while True:
                    self._ended.get_nowait()
        for future in list(self._futures):
            future.cancel()
        self._look_again()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def _call(self, request: BatchRequest) -> None:
        from mcp_llm.api import agenerate_result

        if self._limiter is None:  # it belongs to that loop
            self._limiter = anyio.Semaphore(self._room)
        async with self._limiter:
            started = time.monotonic()
            try:
                request.result = await agenerate_result(request.contents, request.model, **request.arguments)
            except Exception as exc:
                request.error = exc
            request.duration = time.monotonic() - started
        with self._lock:
            if request not in self._open:  # it was closed meanwhile
                return
            self._open.discard(request)
            self._ended.put(request)
        self._wake()

    def _handed(self, request: BatchRequest | None) -> BatchRequest | None:
        """Count what is handed out. After the last, whoever waits for another one beside us is let go."""
        with self._lock:
            self._owed -= request is not None and self._owed > 0
            none_left = not self._owed
        if none_left:
            self._look_again()
        return request

    def _look_again(self) -> None:
        """Let go of whoever waits for a request."""
        self._ended.put(None)
        self._wake()

    def _wake(self) -> None:
        for wake in list(self._wakers):
            with suppress(RuntimeError):  # its loop has ended
                wake()


class Drained:
    """Iterates the requests of a batch as they end, with `for` and with `async for`."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __iter__(self) -> Iterator[BatchRequest]:
        return self

    def __next__(self) -> BatchRequest:
        batch = self._batch
        while batch:
            if (request := batch._handed(batch._ended.get())) is not None:
                return request
        raise StopIteration

    def __aiter__(self) -> AsyncIterator[BatchRequest]:
        return self

    async def __anext__(self) -> BatchRequest:
        batch, call = self._batch, scheduler()
        while batch:
            event = anyio.Event()

            def wake(event: anyio.Event = event) -> None:
                call(event.set)

            batch._wakers.append(wake)  # before the look, so that none ends unseen
            try:
                with suppress(queue.Empty):
                    if (request := batch._handed(batch._ended.get_nowait())) is not None:
                        return request
                    continue
                await event.wait()
            finally:
                batch._wakers.remove(wake)
        raise StopAsyncIteration
