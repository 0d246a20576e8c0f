"""The one thread that writes `state.db`: it owns the connection and commits all that is queued in one transaction.

Jobs are functions of the connection, answered after the commit; one that fails undoes what it did alone. Posted rows
are answered by nobody: they wait up to 50 ms to share a commit. It knows nothing of what the rows mean.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

from mcp_llm.errors import StoreError

from . import home

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

Apply: TypeAlias = "Callable[[sqlite3.Connection, list[Any]], None]"
Work: TypeAlias = "Callable[[sqlite3.Connection], Any]"

COALESCE_SECONDS = 0.05
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 2.0
KEEP_ROWS = 20_000
"""Posted rows kept in memory while the disk refuses them; the oldest are lost beyond that."""


class Job:
    """A write that somebody may wait for; `done`, where it is set by then, is called on the writer's thread, once.

    It is set first and `finished` looked at after that; the writer does both the other way round.
    """

    __slots__ = ("abandoned", "done", "error", "finished", "result", "work")

    def __init__(self, work: Work, done: Callable[[], None] | None = None) -> None:
        self.work = work
        self.done = done
        self.result: Any = None
        self.error: BaseException | None = None
        self.finished = False
        self.abandoned = False


class _Lost(Exception):
    """SQLite rolled the whole transaction back; the cause says why."""


class Writer:
    """Starts its thread at the first `submit` or `post`. Every method may be called from any thread."""

    def __init__(self, path: Path | None, *, fallback: bool) -> None:
        self.path = path
        self.fallback = fallback
        self.told: Callable[[str], None] | None = None
        self.durable = path is not None
        self.generation = 0
        self.lost = 0
        self.notes: list[str] = []
        self.posted: deque[tuple[Apply, Any]] = deque()
        self._queue: SimpleQueue[Job | bool] = SimpleQueue()  # True: rows were posted; False: stop
        self._carrying = False
        """Rows have been taken out of `posted` and are not committed yet."""
        self._armed = False
        """The writer will look for posted rows by itself, within 50 ms."""
        self._closed = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._repeats: list[list[Any]] = []
        self._retry = 0.0

    @property
    def behind(self) -> bool:
        """True while a posted row is not on disk; a job that is submitted then is done after it."""
        return bool(self.posted) or self._carrying  # in this order: rows are carried before they leave `posted`

    def submit(self, job: Job) -> None:
        """Queue a job; raises StoreError after `stop`."""
        with self._lock:
            if self._closed:
                raise StoreError("The store is closed.")
            if self._thread is None:
                self._start()
            self._queue.put(job)

    def post(self, apply: Apply, row: Any) -> None:
        """Queue a row: `apply(connection, rows)` gets it with its neighbours. Never blocks, never raises."""
        self.posted.append((apply, row))
        if not self._armed:
            self._arm()

    def _arm(self) -> None:
        with self._lock:
            if self._closed:
                self.lost += len(self.posted)
                self.posted.clear()
                return
            self._armed = True
            if self._thread is None:
                self._start()
            self._queue.put(True)

    def repeat(self, seconds: float, work: Work) -> None:
        """Run `work` every so many seconds from now on, in a transaction of its own accord."""
        if seconds <= 0:
            raise ValueError("without a pause between them, nobody else could ever write")
        this = [seconds, time.monotonic() + seconds, work]

        def register(_: sqlite3.Connection) -> None:
            if not any(one is this for one in self._repeats):  # it may run twice, as every work may
                self._repeats.append(this)

        self.submit(Job(register))

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="mcp-llm store", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Write what is queued and end the thread; False when that took more than two seconds (rows may be lost)."""
        with self._lock:
            first, self._closed = not self._closed, True
            thread = self._thread
            if first and thread is not None:
                self._queue.put(False)
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(CLOSE_SECONDS)
        return not thread.is_alive()

    # From here on: the writer's own thread.

    def _run(self) -> None:
        running = True
        while running:
            jobs, running = self._gather()
            if not running and self._connection is not None:
                self._connection.execute("PRAGMA busy_timeout = 1000")  # somebody is waiting in `stop`
            self._flush(jobs)
        self._flush([])  # what could not be written goes to a new connection once more: there is no later
        self._armed = False  # a row that comes now has to hear that nobody will look
        self.lost += len(self.posted)
        self.posted.clear()
        self._disconnect()

    def _note(self, words: str) -> None:
        if words not in self.notes:
            self.notes.append(words)
            if self.told is not None:
                self.told(words)

    def _gather(self) -> tuple[list[Job], bool]:
        """Block until something is to be written; False with it: this is the last time."""
        jobs: list[Job] = []
        deadline = self._wake_at()
        while True:
            try:
                wait = None if deadline is None else deadline - time.monotonic()
                item = self._queue.get(timeout=wait) if wait is None or wait > 0 else self._queue.get_nowait()
            except Empty:
                return jobs, True
            if item is False:
                return jobs, False
            if item is True:
                due = max(time.monotonic() + COALESCE_SECONDS, self._retry)
                deadline = due if deadline is None else min(deadline, due)
                continue
            jobs.append(item)
            deadline = 0.0  # take what is there, wait no longer

    def _wake_at(self) -> float | None:
        times = [due for _, due, _ in self._repeats]
        if self.posted or self._armed:
            times.append(max(self._retry, time.monotonic() + COALESCE_SECONDS))
        return min(times, default=None)

    def _flush(self, jobs: list[Job]) -> None:
        self._armed = False  # before the rows are taken: a later row arms it again
        count = len(self.posted)
        self._carrying = count > 0
        rows = [self.posted.popleft() for _ in range(count)]
        now = time.monotonic()
        repeats = [repeat for repeat in self._repeats if repeat[1] <= now]
        for repeat in repeats:
            repeat[1] = now + repeat[0]
        jobs = [job for job in jobs if not job.abandoned]
        if not (jobs or rows or repeats):
            return
        # Where something was written, a row often follows, and waking a thread costs as much as the row: so it looks
        # once more before it sleeps.
        self._armed = True
        todo = [*jobs, *(Job(work) for _, _, work in repeats)]
        try:
            try:
                self._transact(todo, rows)
            except Exception as error:
                if not self._heal(_cause(error)):
                    raise
                self._transact(todo, rows)
        except Exception as error:
            self._fail(_cause(error), todo, rows)
        self._carrying = False
        for job in todo:
            job.finished = True
            if job.done is not None:
                job.done()

    def _transact(self, jobs: list[Job], rows: list[tuple[Apply, Any]]) -> None:
        connection = self._open()
        groups: dict[Apply, list[Any]] = {}
        for apply, row in rows:
            groups.setdefault(apply, []).append(row)
        # Nearly always all of it succeeds; savepoints are 0.06 of this thread's CPU, and for when something did not.
        if not self._at_once(connection, jobs, groups):
            self._one_by_one(connection, jobs, groups)

    def _at_once(self, connection: sqlite3.Connection, jobs: list[Job], groups: dict[Apply, list[Any]]) -> bool:
        """Do all of it; False when something failed that was not the disk: then nothing of it is done."""
        connection.execute("BEGIN IMMEDIATE")
        with connection:  # ends the transaction, whichever way
            try:
                for apply, group in groups.items():
                    apply(connection, group)
                for job in jobs:
                    job.error, job.result = None, job.work(connection)
            except BaseException as error:
                if not connection.in_transaction or home.has_failed(error):
                    raise _Lost from error
                connection.rollback()
                return False
        return True

    def _one_by_one(self, connection: sqlite3.Connection, jobs: list[Job], groups: dict[Apply, list[Any]]) -> None:
        """Do all that succeeds, and find out what does not."""
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            for apply, group in groups.items():
                self._insert(connection, apply, group)
            for job in jobs:
                job.error = None
                try:
                    job.result = self._guarded(connection, job.work)
                except _Lost:
                    raise
                except BaseException as error:
                    job.error = error

    def _insert(self, connection: sqlite3.Connection, apply: Apply, group: list[Any]) -> None:
        try:
            self._guarded(connection, lambda con: apply(con, group))
        except _Lost:
            raise
        except Exception:
            # Whatever it is, it is the rows' own: what fails the disk is _Lost, and they are kept. One bad row must not
            # cost its neighbours: each by itself, the bad ones are counted and dropped.
            if len(group) == 1:
                self.lost += 1
                return
            for row in group:
                self._insert(connection, apply, [row])

    @staticmethod
    def _guarded(connection: sqlite3.Connection, work: Work) -> Any:
        """Run in a savepoint, so that a failure undoes this work alone; raises _Lost when all is undone.

        Also when SQLite leaves the transaction open after a failure of the disk, as it may: nothing in it is trusted.
        """
        connection.execute("SAVEPOINT job")
        try:
            result = work(connection)
        except BaseException as error:
            if not connection.in_transaction or home.has_failed(error):
                raise _Lost from error
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            raise
        connection.execute("RELEASE job")
        return result

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and (not self.durable or home.identity(self.path) == self._file):  # type: ignore[arg-type]  # durable has a path
            return self._connection
        # First use, or the file was renamed or deleted under us: rows must not go to where nobody reads them.
        self._disconnect()
        if self.path is None or not self.durable:
            self._connection = home.memory()
            return self._connection
        try:
            home.prepare(self.path)
            self._file = home.identity(self.path)
            self._connection = home.connect(self.path, write=True)
            self.generation += 1
        except Exception as error:
            # Once it has been on disk, rows of this process are there, and memory would know nothing of them.
            if home.is_corrupt(error) or not self.fallback or self.generation:
                raise
            self.durable = False
            self._note(f"{home.explain(error)} Until then state is kept in memory and ends with this process.")
            self._connection = home.memory()
        return self._connection

    def _heal(self, error: BaseException) -> bool:
        """True when a corrupt file was put out of the way, so that trying again has a point."""
        if self.path is None or not self.durable or not isinstance(error, Exception) or not home.is_corrupt(error):
            return False
        self._disconnect()
        name = home.set_aside(self.path, self._file)
        if name is not None:
            self._note(
                f"The state database was corrupt. It was renamed to {name} and a new, empty one was made; "
                f"`sqlite3 {name} .recover` may read what is left of it."
            )
        return True

    def _fail(self, error: BaseException, jobs: list[Job], rows: list[tuple[Apply, Any]]) -> None:
        told = home.explain(error)
        self._retry = time.monotonic() + RETRY_SECONDS
        self.posted.extendleft(reversed(rows))
        while len(self.posted) > KEEP_ROWS:
            self.posted.popleft()
            self.lost += 1
        for job in jobs:
            job.error = StoreError(str(told))  # one each: a traceback grows on an exception that is raised twice
        self._note(str(told))
        # After a failed sync the page cache cannot be trusted: a new connection reads the log again, with checksums.
        self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ if isinstance(error, _Lost) and error.__cause__ is not None else error
