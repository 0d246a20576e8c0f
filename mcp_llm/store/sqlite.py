"""The state database as the rest of the program sees it: awaitable writes and reads, rows posted and forgotten.

It decides nothing about what is stored: `schema.py` has the tables, `writer.py` the one writing thread, and each part
that owns rows brings its own statements. SQLite blocks, so no statement ever runs on an event loop's thread.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from mcp_llm.errors import StoreError
from mcp_llm.types.text import unbroken

from . import home
from .writer import Job, Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Self

T = TypeVar("T")

READERS = 4
"""Connections kept for reading: each has two files and 2 MiB of cache, and 40 threads may have read at once."""
ANSWER_SECONDS = 20.0
"""A write that is not committed by then is given up: longer than SQLite waits for another process's lock."""


class Sent(Generic[T]):
    """A write that is queued; two that are sent in a row share a commit."""

    __slots__ = ("_job",)

    def __init__(self, job: Job) -> None:
        self._job = job

    async def result(self) -> T:
        """What `work` gave, once it is on disk; raises as `Store.write` does, and is no more interrupted than that."""
        job = self._job
        if not job.finished:  # of two that shared a commit, the second is done when the first is
            done, schedule = anyio.Event(), scheduler()
            job.done = lambda: _wake(schedule, done)
            if not job.finished:
                with anyio.move_on_after(ANSWER_SECONDS, shield=True):
                    await done.wait()
        if not job.finished:
            job.abandoned = True
            raise StoreError(f"The state database did not answer within {ANSWER_SECONDS:.0f} s: check its disk.")
        if job.error is not None:
            raise home.explain(job.error)
        return job.result  # type: ignore[no-any-return]  # what `work` gave


class Store:
    """One `state.db`, shared with other processes; usable from any event loop, and from several at once.

    Nothing is opened before the first use. `durable` turns False when the database lives in memory (no path, or
    `fallback` where the file cannot be used); `notes` says in sentences what went wrong and was lived with; `lost`
    counts posted rows that could not be kept.
    """

    def __init__(self, path: Path | None, *, fallback: bool = False) -> None:
        self._writer = Writer(path, fallback=fallback)
        self._readers: list[tuple[int, sqlite3.Connection]] = []
        self._closed = False
        self._lock = threading.Lock()
        # Also runs at interpreter exit: posted rows are written although nobody closed the store.
        self._finalizer = weakref.finalize(self, Writer.stop, self._writer)

    @classmethod
    def open(cls, path: Path | None, *, fallback: bool = False, told: Callable[[str], None] | None = None) -> Self:
        """A store on this file (None: in memory). Touches nothing yet; `start` does, or the first use.

        `told` is called with each of the `notes` as it comes up, on a thread of the store's.
        """
        store = cls(path, fallback=fallback)
        store._writer.told = told
        return store

    @property
    def path(self) -> Path | None:
        """The file's path as given."""
        return self._writer.path

    @property
    def durable(self) -> bool:
        """False when what is written ends with this process."""
        return self._writer.durable

    def must_last(self, so: str) -> None:
        """Raise StoreError where what is written ends with this process: `so` says what is not done therefore."""
        if not self.durable:
            raise StoreError(f"the state database cannot be used, so {so}; `mcp-llm doctor` says why")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know: a corrupt file set aside, a full disk, a fallback to memory, rows that are lost."""
        lost = [f"Rows that could not be written to the state database and are lost: {self.lost:,}."]
        return (*self._writer.notes, *(lost if self.lost else ()))

    @property
    def lost(self) -> int:
        """Posted rows that were dropped."""
        return self._writer.lost

    async def start(self) -> None:
        """Open the database now; raises StoreError when it cannot be used."""
        await self.write(lambda _: None)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the writer's transaction; returns its result once that is on disk.

        Everything queued meanwhile shares one commit. An exception of `work` undoes its own statements only and is
        raised here; sqlite3.IntegrityError becomes Conflict, other trouble StoreError. The call is not interrupted by
        cancellation, so what it returned is what happened. `work` may run twice, the first time being undone.
        """
        return await self.send(work).result()

    def send(self, work: Callable[[sqlite3.Connection], T]) -> Sent[T]:
        """Queue `work` behind all that was queued before, without waiting: `result` of what this gives does."""
        job = Job(work)
        self._writer.submit(job)
        return Sent(job)

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """One statement, committed; the number of rows it changed."""
        return await self.write(lambda connection: connection.execute(sql, values).rowcount)

    def post(self, apply: Callable[[sqlite3.Connection, list[Any]], None], row: Any) -> None:
        """Write a row within about 50 ms, without waiting: `apply(connection, rows)` gets it with its neighbours.

        `apply` has to be one and the same function for rows that can go together. May be called without a loop.
        """
        self._writer.post(apply, row)

    async def flush(self) -> None:
        """Wait until the rows posted so far are on disk; raises StoreError when they cannot be written."""
        if self._writer.behind:
            await self.write(lambda _: None)

    def repeat(self, seconds: float, work: Callable[[sqlite3.Connection], Any]) -> None:
        """Run `work` in a transaction every so many seconds, more than none, while the store is open."""
        self._writer.repeat(seconds, work)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a reading connection, in one snapshot; it sees every row written or posted before."""
        if self._closed:
            raise StoreError("The store is closed.")
        if self.durable and self._writer.generation == 0:
            await self.start()
        if not self.durable:
            return await self.write(work)
        if self._writer.behind:
            with contextlib.suppress(StoreError):  # a full disk can still be read
                await self.flush()
        return await anyio.to_thread.run_sync(self._read, work)

    async def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one SELECT. Its values may be of any caller: nothing is stored under half a surrogate pair."""
        given = [unbroken(value) if isinstance(value, str) else value for value in values]
        return await self.read(lambda connection: connection.execute(sql, given).fetchall())

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        assert self.path is not None
        try:
            generation, connection = self._reader()
        except Exception as error:
            raise home.explain(error) from None
        try:
            connection.execute("BEGIN")
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            connection.close()
            raise home.explain(error) from error
        with self._lock:  # of `close`, which leaves nothing open
            kept = not self._closed and len(self._readers) < READERS
            if kept:
                self._readers.append((generation, connection))
        if not kept:
            connection.close()
        return result

    def _reader(self) -> tuple[int, sqlite3.Connection]:
        assert self.path is not None
        current = self._writer.generation
        while self._readers:
            try:
                generation, connection = self._readers.pop()
            except IndexError:  # another thread took the last one
                break
            if generation == current:
                return generation, connection
            connection.close()  # of a file that has been replaced since
        return current, home.connect(self.path, write=False)

    def close(self) -> None:
        """Write what is posted and let go of the file; returns within about 2 s, also when the disk hangs."""
        with self._lock:  # what ends its reading from here on closes its connection itself
            self._closed = True
        self._finalizer.detach()
        if not self._writer.stop():
            self._writer.notes.append("The state database did not close in time: the last ledger rows may be missing.")
        while self._readers:
            self._readers.pop()[1].close()

    async def aclose(self) -> None:
        """`close` without blocking the event loop."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.close)


def scheduler() -> Callable[..., Any]:
    """How another thread gets a function called on this event loop, without waiting for it.

    `anyio.from_thread` would block the writer until the loop has answered; the loop's own call does not.
    """
    loop: Any = anyio.lowlevel.current_token().native_token
    call = getattr(loop, "call_soon_threadsafe", None)  # asyncio's name; trio's token says run_sync_soon
    return call if call is not None else loop.run_sync_soon  # type: ignore[no-any-return]


def _wake(schedule: Callable[..., Any], done: anyio.Event) -> None:
    try:
        schedule(done.set)
    except RuntimeError:  # the loop that asked has ended
        return
