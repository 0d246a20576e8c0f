"""The journal of one run that this process drives: events in order, durable before anybody acts on them.

Every write carries the lease's fence in its own transaction, so a process that was overtaken writes nothing. Texts and
thinking are noted without waiting, joined for a moment, and are on disk before the next awaited event at the latest.
"""

from __future__ import annotations

import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import anyio

from mcp_llm.errors import Conflict, Error, StoreError
from mcp_llm.redactor import Redactor
from mcp_llm.types.events import ErrorEvent, Finish, ModelStart, TextEvent, ThinkingEvent, decode, encode
from mcp_llm.types.sinks import Fan

from . import lease, questions
from .kept import dumps, result_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from mcp_llm.store.sqlite import Sent, Store
    from mcp_llm.types.events import Event
    from mcp_llm.types.sinks import EventSink

Write: TypeAlias = "Callable[[sqlite3.Connection], None]"

NOTE_SECONDS: Final = 0.1
"""Deltas of this long become one event."""
NOTE_CHARACTERS: Final = 4000
_INSERT: Final = (
    "INSERT INTO run_events (run, seq, ts, kind, data, crc, fence) "
    "SELECT id, ?, ?, ?, ?, ?, fence FROM runs WHERE id = ? AND owner = ? AND fence = ?"
)
_LAST: Final = "SELECT max(seq) FROM run_events WHERE run = ?"


def _noted(connection: sqlite3.Connection, rows: list[Any]) -> None:
    connection.executemany(_INSERT, rows)  # of a run that was lost meanwhile: inserts nothing


def _end(connection: sqlite3.Connection, rows: list[Any]) -> None:
    for row in rows:
        journal, event, close = row
        with suppress(Conflict):
            journal.end(connection, event, close)


@dataclass(slots=True)
class _Writing:
    """Events on their way to the disk."""

    sent: Sent[bool]
    events: list[Event]


class Journal:
    """One run being driven by this process; made by `RunStore.create` and `RunStore.claim`.

    `seq` is the number of the last event written, -1 at first. `cancel_requested` turns True when the user asks for
    the end, `lost` when another process has taken the run: `on_stop` is called for either, once, on the event loop.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        *,
        kind: str,
        principal: str,
        owner: str,
        fence: int,
        seq: int = -1,
        request: dict[str, Any] | None = None,
        parent: str | None = None,
        attempts: int = 1,
        changed: Callable[[str], None] = lambda _: None,
        ended: Callable[[str], None] = lambda _: None,
        redactor: Redactor | None = None,
    ) -> None:
        self.run_id = run_id
        self.kind = kind
        self.principal = principal
        self.owner = owner
        self.fence = fence
        self.seq = seq
        self.request = request or {}
        self.parent = parent
        self.attempts = attempts
        self.cancel_requested = False
        self.lost = False
        self.ended = False
        self.listeners = Fan()
        self.on_stop: Callable[[], None] | None = None
        self._store = store
        self.redactor = redactor or Redactor()
        self._changed = changed
        self._ended = ended
        self._lock = anyio.Lock(fast_acquire=True)
        self._broken: str | None = None
        self._closing = False
        self._said: list[str] = []
        self._pieces: list[str] = []
        self._pending: list[Event] = []
        self._held = False
        self._writing: _Writing | None = None
        self._noted_at = 0.0

    @property
    def partial(self) -> str:
        """The words of the reply that is coming, or came last."""
        return "".join(self._said)

    def listen(self, sink: EventSink) -> None:
        """Hand every event from now on to this sink too, after it is written."""
        self.listeners.add(sink)

    async def append(self, *events: Event) -> int:
        """Write the events, all or none, and what was noted before them; the last one's number, once it is on disk.

        Raises Conflict when another process has taken the run or it has ended, StoreError when the disk fails: after
        either, nothing more can be appended, and the run must not go on.
        """
        return await self._write(events)

    def add(self, event: Event) -> None:
        """Write the event with what is written next, or when `settled` is awaited: before anybody acts on it.

        An agent's turn is two commits this way where it was six, and costs half the CPU.
        """
        if isinstance(event, ModelStart):
            self._said.clear()
        self._join()
        self._pending.append(event)
        self._held = True

    def push(self) -> None:
        """Begin to write what was added; what is sent to the store next shares the commit."""
        if self._held and self._writing is None and not self._lock.locked():
            self._writing = self._send(self._take())

    async def settled(self) -> None:
        """Return once everything that was added is on disk. Raises as `append` does."""
        if self._held or self._writing is not None:
            async with self._lock:
                await self._arrived()
                if self._held:
                    await self._arrive(self._send(self._take()))

    async def finish(
        self, event: Finish | ErrorEvent, *, status: str | None = None, result: Any = None, also: Write | None = None
    ) -> int:
        """The last event, the run's status (`finished`, `failed`, `cancelled`) and its result, and the lease is let go.

        `result` is JSON as the tool gave it; without it, the event's own. `also` writes what counts with the end only,
        in its transaction. Raises as `append` does; an end that the disk does not take now is written as soon as it
        does, unless another process drives the run by then.
        """
        if status is None:
            status = "finished" if isinstance(event, Finish) else "cancelled" if event.kind == "cancelled" else "failed"
        if result is None:
            result = result_of(event)
        text = self.redactor(dumps(result))

        def close(connection: sqlite3.Connection) -> None:
            _close(connection, self.run_id, status, text)
            if also is not None:
                also(connection)

        self._closing = True  # from here on a lease that is gone was let go by us
        return await self._last(event, close)

    async def leave(self, event: Event) -> int:
        """Append, and let go of a run that has not ended, for whoever goes on with it: in one transaction.

        Raises as `append` does; an event that the disk does not take now is written as `finish` would write an end.
        """
        self._closing = True
        return await self._last(event, self._free)

    async def _last(self, event: Event, close: Write) -> int:
        try:
            seq = await self._write((event,), close)
        except StoreError:
            self.ended = True
            self._store.post(_end, (self, event, close))
            self._ended(self.run_id)
            raise
        except BaseException:
            self._closing = False
            raise
        self.ended = True
        self._ended(self.run_id)
        return seq

    async def mark(self, event: Event, *, status: Literal["running", "waiting"]) -> int:
        """Append, and set the run's status in the same transaction."""
        return await self._write((event,), lambda connection: _set(connection, self.run_id, status))

    async def ask(self, event: Event, question_id: str, question: dict[str, Any], deadline: int | None = None) -> int:
        """Append, store a question for a person, and let the run be `waiting`; `deadline` is epoch milliseconds."""
        row = (self.run_id, question_id, time.time_ns() // 1_000_000, deadline, dumps(question))

        def also(connection: sqlite3.Connection) -> None:
            if questions.put(connection, row):
                _set(connection, self.run_id, "waiting")

        return await self._write((event,), also)

    async def release(self) -> None:
        """Let go of a run that has not ended, for another process or a later claim; what was noted is written first."""
        if self.ended or self.lost:
            return
        self._closing = True
        with suppress(Error):  # else the lease is over when nobody renews it
            await self._write((), self._free)
        self.ended = True
        self._ended(self.run_id)

    def _free(self, connection: sqlite3.Connection) -> None:
        lease.free(connection, self.run_id, self.owner, self.fence)

    def note(self, event: Event) -> None:
        """Add words or thinking without waiting; joined with their neighbours of the same kind."""
        if self.ended or self.lost:
            return
        last = self._pending[-1] if self._pending else None
        if isinstance(event, TextEvent):
            self._said.append(event.text)
        if isinstance(event, TextEvent | ThinkingEvent):
            piece = event.text if isinstance(event, TextEvent) else event.summary
            if last is not None and type(last) is type(event) and last.model == event.model:
                self._pieces.append(piece)
            else:
                self._join()
                self._pending.append(event)
                self._pieces = [piece]
        else:
            self._join()
            self._pending.append(event)
        now = time.monotonic()
        size = sum(map(len, self._pieces))
        if now - self._noted_at >= NOTE_SECONDS or size >= NOTE_CHARACTERS:
            if size < 2 * NOTE_CHARACTERS and self.redactor.unfinished("".join(self._pieces)):
                return  # of a key in two events neither half would be known
            self._noted_at = now
            self._post()

    # Everything below keeps one order: posted rows are committed no later than a job that is submitted after them, and
    # nothing is posted while a job is under way. So what is on disk is always a prefix of what was said.

    def _post(self) -> None:
        if self._lock.locked() or self._held or self._writing is not None or self._broken is not None:
            return
        rows, stamped = self._stamped(self._take())
        for row in rows:
            self._store.post(_noted, row)
        self.seq += len(rows)
        self._tell(stamped)

    async def _write(self, events: Sequence[Event], also: Write | None = None) -> int:
        async with self._lock:
            await self._arrived()
            self._check()
            if events and isinstance(events[-1], ModelStart):
                self._said.clear()
            return await self._arrive(self._send([*self._take(), *events], also))

    def _check(self) -> None:
        if self._broken is not None:
            raise StoreError(self._broken)
        if self.lost or self.ended:
            raise Conflict(f"run {self.run_id} is no longer driven here")

    def _send(self, events: Sequence[Event], also: Write | None = None) -> _Writing:
        self._check()
        rows, stamped = self._stamped(events)

        def work(connection: sqlite3.Connection) -> bool:
            cancel = lease.check(connection, self.run_id, self.owner, self.fence)
            self._insert(connection, rows)
            if also is not None:
                also(connection)
            return cancel

        return _Writing(self._store.send(work), stamped)

    async def _arrived(self) -> None:
        """Wait for what was pushed."""
        writing, self._writing = self._writing, None
        if writing is not None:
            await self._arrive(writing)

    async def _arrive(self, writing: _Writing) -> int:
        try:
            cancel = await writing.sent.result()
        except Conflict:
            self.stop(lost=True)
            raise
        except Error as exc:
            # A write that failed may be on disk or not: only a new claim, which reads it back, may go on.
            self._broken = str(exc)
            raise
        self.seq += len(writing.events)
        self._tell(writing.events)
        if cancel:
            self.stop(cancelled=True)
        return self.seq

    def _insert(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        last = connection.execute(_LAST, (self.run_id,)).fetchone()[0]
        if (-1 if last is None else last) != rows[0][0] - 1:
            raise StoreError(
                f"the journal of run {self.run_id} ends at event {last}, not at {rows[0][0] - 1}: "
                "resume the run, which reads it again"
            )
        connection.executemany(_INSERT, rows)

    def end(self, connection: sqlite3.Connection, event: Event, close: Write) -> None:
        """Write an end that failed before, on the writer's thread, behind whatever is there. Raises Conflict."""
        lease.check(connection, self.run_id, self.owner, self.fence)
        last = connection.execute(_LAST, (self.run_id,)).fetchone()[0]
        self.seq = -1 if last is None else last
        connection.executemany(_INSERT, self._stamped([event])[0])
        close(connection)

    def _join(self) -> None:
        if not self._pieces:
            return
        joined = "".join(self._pieces)
        last = self._pending[-1]
        name = "text" if isinstance(last, TextEvent) else "summary"
        self._pending[-1] = last.model_copy(update={name: joined})
        self._pieces = []

    def _take(self) -> list[Event]:
        self._join()
        taken, self._pending, self._held = self._pending, [], False
        return taken

    def _stamped(self, events: Sequence[Event]) -> tuple[list[tuple[Any, ...]], list[Event]]:
        now = time.time_ns() // 1_000_000
        rows: list[tuple[Any, ...]] = []
        stamped: list[Event] = []
        for number, event in enumerate(events, self.seq + 1):
            head = {"ts": event.ts or now, "run_id": self.run_id, "seq": number}
            row, told = self._row(event.model_copy(update=head))
            rows.append(row)
            stamped.append(told)
        return rows, stamped

    def _row(self, event: Event) -> tuple[tuple[Any, ...], Event]:
        """The event as it is kept, and as its listeners are told it: no key in either."""
        data = encode(event)
        if (told := self.redactor(data)) is not data:
            data, event = told, decode(told)
        crc = zlib.crc32(data.encode())
        return (event.seq, event.ts, event.event, data, crc, self.run_id, self.owner, self.fence), event

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            self.listeners.emit(event)
        self._changed(self.run_id)

    def stop(self, *, lost: bool = False, cancelled: bool = False) -> None:
        """Say that the run has to end here; called by whoever sees it first, on the run's event loop."""
        if self._closing or self.ended:
            return
        first = not (self.lost or self.cancel_requested)
        self.lost = self.lost or lost
        self.cancel_requested = self.cancel_requested or cancelled
        if lost:
            self._ended(self.run_id)
        if first and self.on_stop is not None:
            self.on_stop()


def _set(connection: sqlite3.Connection, run_id: str, status: str) -> None:
    connection.execute(f"UPDATE runs SET status = ?, updated = {lease.NOW} WHERE id = ?", (status, run_id))


def _close(connection: sqlite3.Connection, run_id: str, status: str, result: str) -> None:
    connection.execute(
        f"UPDATE runs SET status = ?, result = ?, updated = {lease.NOW}, owner = NULL, expires = NULL WHERE id = ?",
        (status, result, run_id),
    )
