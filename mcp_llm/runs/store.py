"""The runs of a state database: made, claimed, listed, read, answered and asked to end; each bound to its owner.

A run of somebody else's is as unknown as one that never was. Driving one is `journal.py`, who may is `lease.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio

from mcp_llm.errors import Conflict, InvalidInput
from mcp_llm.llm import reservation
from mcp_llm.redactor import Redactor
from mcp_llm.store.sqlite import scheduler
from mcp_llm.types.events import ErrorEvent

from . import brief as columns
from . import lease, questions, reading, texts
from .journal import Journal
from .kept import dumps, loaded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from mcp_llm.store.sqlite import Store
    from mcp_llm.types.events import Event

    from .journal import Write
    from .questions import Question

EXPIRED: Final = 1000
"""Runs without a driver that are looked at, at once."""
_COLUMNS: Final = "id, kind, principal, status, created, updated, model, request, result, parent, attempts"


@dataclass(slots=True)
class RunInfo:
    """One row: `status` is running, waiting, interrupted (nobody drives it any more), finished, failed or cancelled.

    `request` is what was asked, `result` what came of it, both JSON; times are epoch milliseconds.
    """

    id: str
    kind: str
    principal: str
    status: str
    created: int
    updated: int
    model: str | None
    request: dict[str, Any]
    result: dict[str, Any]
    parent: str | None
    attempts: int

    @property
    def live(self) -> bool:
        """True while somebody drives it."""
        return self.status in lease.LIVE


# Inside the class, `list` is a method.
Infos: TypeAlias = list[RunInfo]
Events: TypeAlias = "list[Event]"
Questions: TypeAlias = "list[Question]"
Members: TypeAlias = "list[tuple[RunInfo, int]]"


def new_id() -> str:
    """A run's id: 128 bits of randomness as hex. Knowing one is not enough to read the run, but hard to come by."""
    return secrets.token_hex(16)


class RunStore:
    """Runs in one `state.db`. One per Service; `ttl_s`, more than 0, is how long a silent process keeps its runs."""

    def __init__(self, store: Store, *, ttl_s: float = lease.TTL_S, redactor: Redactor | None = None) -> None:
        self.store = store
        self.redactor = redactor or Redactor()
        self.ttl_s = ttl_s
        self.owner = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._live: dict[str, Journal] = {}
        self._schedulers: dict[str, Any] = {}
        self._signals: dict[str, anyio.Event] = {}
        self._renewing = False

    # Driving

    async def create(
        self,
        kind: str,
        request: dict[str, Any],
        principal: str,
        parent: str | None = None,
        *,
        run_id: str | None = None,
        model: str | None = None,
        created: int | None = None,
        also: Write | None = None,
    ) -> Journal:
        """A new run, driven by this process. `request` is JSON: what `resume` needs to build the run again.

        `also` writes what begins with it, in its transaction; where it raises, there is no run.
        """
        run_id = run_id or new_id()
        now = time.time_ns() // 1_000_000
        text = dumps(request)

        def work(connection: sqlite3.Connection) -> int:
            connection.execute(
                "INSERT INTO runs (id, kind, principal, status, created, updated, model, request, parent) "
                "VALUES (?, ?, ?, 'running', ?, ?, ?, ?, ?)",
                (run_id, kind, principal, created or now, now, model, text, parent),
            )
            if also is not None:
                also(connection)
            return lease.take(connection, run_id, self.owner, self.ttl_s)

        fence = await self.store.write(work)
        return self._drive(run_id, kind=kind, principal=principal, fence=fence, request=request, parent=parent)

    async def claim(self, run_id: str, principal: str | None = None) -> Journal:
        """Drive a run that nobody drives any more. Raises Conflict, and InvalidInput for an unknown one."""
        await self.renew()

        def work(connection: sqlite3.Connection) -> tuple[Any, ...]:
            row = connection.execute(
                "SELECT kind, principal, request, parent, attempts FROM runs WHERE id = ?", (run_id,)
            ).fetchone()
            if row is None or (principal is not None and row[1] != principal):
                raise unknown(run_id)
            if (request := loaded(row[2])) is None:
                raise InvalidInput(
                    f"what run {run_id} was asked is damaged on disk: read it, it cannot be gone on with"
                )
            fence = lease.take(connection, run_id, self.owner, self.ttl_s)
            # What the one before held for a call in flight is spent, as it may have been billed. Until its own, longer
            # lease ended, it would keep this run waiting for the money.
            reservation.expire(connection, time.time_ns() // 1_000_000, gone=("run", run_id))
            last = connection.execute("SELECT max(seq) FROM run_events WHERE run = ?", (run_id,)).fetchone()[0]
            return (*row, fence, -1 if last is None else last, request)

        kind, owner, _, parent, attempts, fence, seq, request = await self.store.write(work)
        return self._drive(
            run_id,
            kind=kind,
            principal=owner,
            fence=fence,
            seq=seq,
            request=request,
            parent=parent,
            attempts=attempts + 1,
        )

    def _drive(self, run_id: str, **known: Any) -> Journal:
        ours: Any = {"owner": self.owner, "changed": self.tell, "ended": self._forget, "redactor": self.redactor}
        journal = Journal(self.store, run_id, **ours, **known)
        self._live[run_id] = journal
        self._schedulers[run_id] = scheduler()
        if not self._renewing:
            self._renewing = True
            self.store.repeat(self.ttl_s / 3, self._renew)
        return journal

    def _forget(self, run_id: str) -> None:
        self._live.pop(run_id, None)
        self._schedulers.pop(run_id, None)
        self.tell(run_id)

    def driven(self, run_id: str) -> Journal | None:
        """The journal of a run that this process drives."""
        return self._live.get(run_id)

    async def renew(self) -> None:
        """Move our own leases on before anybody is asked whose are over: a clock that was set forward ends ours too."""
        if self._live:
            await self.store.write(self._renew)

    def _renew(self, connection: sqlite3.Connection) -> None:
        """On the writer's thread: every lease moved on, and what happened to a run told on its loop."""
        for run_id, journal in self._live.copy().items():
            ours, cancelled = lease.renew(connection, run_id, journal.owner, journal.fence, self.ttl_s)
            if (ours and not cancelled) or (call := self._schedulers.get(run_id)) is None:
                continue
            try:
                call(_stop, journal, not ours, cancelled)
            except RuntimeError:  # its loop has ended
                self._live.pop(run_id, None)

    async def release(self) -> None:
        """Let go of every run that is still driven, at the end of the process."""
        for journal in [*self._live.values()]:
            await journal.release()

    async def expired(self, kinds: Sequence[str], known: Mapping[str, int] | None = None) -> Infos:
        """Runs of these kinds whose driver is gone, those longest without one first.

        Without those that are `known`: a run's id -> when it was last changed, as it was seen before.
        """
        await self.renew()
        stale = f"kind IN ({_marks(kinds)}) AND status IN ('running', 'waiting') AND {lease.STALE}"
        rows = await self.store.query(
            f"SELECT id, updated FROM runs WHERE {stale} ORDER BY updated DESC LIMIT {EXPIRED}", kinds
        )
        new = [run_id for run_id, updated in rows if known is None or known.get(run_id) != updated]
        found = await self._infos(f"id IN ({_marks(new)}) AND {stale}", (*new, *kinds), EXPIRED) if new else []
        return found[::-1]

    async def next_expiry(self, kinds: Sequence[str]) -> float | None:
        """Seconds until the first lease of these kinds that another process holds ends; None where there is none.

        A lease that is over already, of a run that nobody takes up, is not waited for.
        """
        others = f"kind IN ({_marks(kinds)}) AND owner <> ? AND expires > {lease.NOW}"
        sql = f"SELECT min(expires) - {lease.NOW} FROM runs WHERE {others}"
        found = (await self.store.query(sql, (*kinds, self.owner)))[0][0]
        return None if found is None else max(0.0, found / 1000)

    # Looking

    async def get(self, run_id: str, principal: str) -> RunInfo:
        """The row. Raises InvalidInput for an unknown run, and for somebody else's in the same words."""
        rows = await self._infos("id = ? AND principal = ?", (run_id, principal), 1)
        if not rows:
            raise unknown(run_id)
        return rows[0]

    async def list(
        self,
        principal: str,
        status: str | None = None,
        limit: int = 20,
        *,
        parent: str | None = None,
        roots: bool = False,
        brief: bool = False,
    ) -> Infos:
        """The newest runs first. `roots`: none that is part of another one.

        `brief`: of long requests and results only what a line of a list needs (`brief.py`).
        """
        where, values = "principal = ?" + (" AND parent IS NULL" if roots else ""), [principal]
        if parent is not None:
            where, values = f"{where} AND parent = ?", [*values, parent]
        if status == "interrupted":
            where += f" AND status IN ('running', 'waiting') AND {lease.STALE}"
        elif status is not None:
            where, values = f"{where} AND status = ?", [*values, status]
            if status in lease.LIVE:
                where += f" AND NOT {lease.STALE}"
        return await self._infos(where, values, limit, columns.BRIEF if brief else _COLUMNS)

    async def family(self, run_id: str, principal: str) -> Members:
        """The run and every run below it, the oldest first, in brief, each with its last event's number (-1: none).

        Single answers, of which a comparison has many, are left out: they are in its result. Raises
        InvalidInput for an unknown run.
        """
        sql = (
            "WITH RECURSIVE below (id) AS "
            "(SELECT ?1 UNION SELECT runs.id FROM runs JOIN below ON runs.parent = below.id WHERE kind <> 'generate') "
            f"SELECT {columns.BRIEF}, {lease.STALE}, (SELECT max(seq) FROM run_events WHERE run = id) FROM runs "
            "WHERE id IN (SELECT id FROM below) AND principal = ?2 ORDER BY id <> ?1, created, id"
        )
        rows = await self.store.query(sql, (run_id, principal))
        if not rows or rows[0][0] != run_id:
            raise unknown(run_id)
        return [(_info(row[:-1]), -1 if row[-1] is None else row[-1]) for row in rows]

    async def _infos(self, where: str, values: Sequence[Any], limit: int, wanted: str = _COLUMNS) -> Infos:
        sql = f"SELECT {wanted}, {lease.STALE} FROM runs WHERE {where} ORDER BY updated DESC LIMIT ?"
        return [_info(row) for row in await self.store.query(sql, (*values, limit))]

    async def events(self, run_id: str, after: int = -1, *, principal: str | None = None) -> Events:
        """The events after a number. Raises StoreError when one is damaged or missing: what follows is not trusted."""
        if principal is not None:
            await self.get(run_id, principal)
        return await reading.events(self.store, run_id, after)

    async def position(self, run_id: str, principal: str) -> tuple[str, int]:
        """(status, number of the last event): what to compare when waiting for a change."""
        sql = (
            f"SELECT status, {lease.STALE}, (SELECT max(seq) FROM run_events WHERE run = id) "
            "FROM runs WHERE id = ? AND principal = ?"
        )
        rows = await self.store.query(sql, (run_id, principal))
        if not rows:
            raise unknown(run_id)
        status, stale, last = rows[0]
        return _status(status, stale), -1 if last is None else last

    async def partial(self, run_id: str) -> str:
        """The words of the reply that is coming, from memory where this process drives the run."""
        if (journal := self._live.get(run_id)) is not None and (words := journal.partial):
            return words
        rows = await self.store.query(
            "SELECT data FROM run_events WHERE run = ?1 AND kind = 'text' AND seq > "
            "(SELECT coalesce(max(seq), -1) FROM run_events WHERE run = ?1 AND kind = 'model_start') ORDER BY seq",
            (run_id,),
        )
        return "".join(json.loads(row[0]).get("text", "") for row in rows)

    # Steering

    async def request_cancel(self, run_id: str, principal: str) -> RunInfo:
        """Ask whoever drives the run to end it; the run as it was. Nothing happens to one that has ended."""
        info = await self.get(run_id, principal)
        if info.status in {"finished", "failed", "cancelled"}:
            return info
        if info.status == "interrupted":
            with contextlib.suppress(Conflict):  # somebody took it up this moment: then it is told like any other
                taken = await self.claim(run_id, principal)
                await taken.finish(ErrorEvent(error="cancelled after its process had gone", kind="cancelled"))
                return info
        await self.store.execute(f"UPDATE runs SET cancel = coalesce(cancel, {lease.NOW}) WHERE id = ?", (run_id,))
        if (journal := self._live.get(run_id)) is not None:
            journal.stop(cancelled=True)
        return info

    async def answer(self, run_id: str, principal: str, answer: Any, question_id: str | None = None) -> str:
        """Answer what the run asks; the question's id. Raises InvalidInput where nothing, or not this, is asked."""
        await self.get(run_id, principal)
        found = await self.store.write(
            lambda connection: questions.answer(connection, run_id, question_id, dumps(answer))
        )
        self.tell(run_id)
        return found

    async def questions(self, run_id: str) -> Questions:
        """What the run has asked, in order; the answers with it."""
        return [questions.read(row) for row in await self.store.query(questions.ALL, (run_id,))]

    # Long texts

    async def keep_text(self, run_id: str, call_id: str, text: str) -> str:
        """Keep a text that is too long to show; its handle, which `read_text` (and the tool `runs`) takes."""
        return await self.store.write(lambda connection: texts.keep(connection, run_id, call_id, text))

    async def read_text(self, handle: str, principal: str, offset: int = 0, limit: int = texts.PAGE) -> texts.Page:
        """A page of a kept text, from a character on. Raises InvalidInput for an unknown handle."""
        found = await self.store.read(lambda connection: texts.read(connection, handle, principal, offset, limit))
        if found is None:
            raise unknown(handle)
        return found

    # Being told of changes

    def tell(self, run_id: str) -> None:
        """Wake whoever waits in this process for a change of the run."""
        if (event := self._signals.pop(run_id, None)) is not None:
            event.set()

    def signal(self, run_id: str) -> anyio.Event:
        """An event that is set at the next change that this process makes."""
        if (event := self._signals.get(run_id)) is None:
            event = self._signals[run_id] = anyio.Event()
        return event


def unknown(run_id: str) -> InvalidInput:
    """The one answer for a run that is not there and for one that is not the caller's."""
    return InvalidInput(f"there is no run {run_id[:80]!r}; the run id is at the end of every answer")


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _stop(journal: Journal, lost: bool, cancelled: bool) -> None:
    journal.stop(lost=lost, cancelled=cancelled)


def _status(status: str, stale: int) -> str:
    return "interrupted" if status in lease.LIVE and stale else status


def _info(row: tuple[Any, ...]) -> RunInfo:
    run_id, kind, principal, status, created, updated, model, request, result, parent, attempts, stale = row
    return RunInfo(
        id=run_id,
        kind=kind,
        principal=principal or "",
        status=_status(status, stale),
        created=created,
        updated=updated,
        model=model,
        request=loaded(request) or {},
        result=loaded(result) or {},
        parent=parent,
        attempts=attempts,
    )
