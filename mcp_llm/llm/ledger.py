"""The token log: one row per upstream call, failures too, and the budgets that are kept with it.

Rows hold figures and names, never a prompt, an answer or a key. Money is Decimal dollars here and integer nano-dollars
in the database. The rules of reserving are in `reservation.py`; this file decides nothing about prices.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from . import reservation as rules
from .entry import Entry, columns
from .reservation import Reservation, Scope

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from mcp_llm.store.sqlite import Store

__all__ = ["Entry", "GroupBy", "Ledger", "Reservation", "Scope", "Spend", "Used", "day"]

GroupBy: TypeAlias = Literal["model", "provider", "context", "operation", "day", "hour", "run", "total"]

LEASE_SECONDS = 60
"""A reservation not renewed for so long belongs to a dead process."""
PRUNE_SECONDS = 86_400
"""A server that runs for months forgets idle budgets as one does that is started anew."""
_SEEN = 1000
"""Scopes whose figures are remembered."""

day = rules.day

_GROUPS: dict[str, str] = {
    "model": "provider || ':' || coalesce(model_used, model)",
    "provider": "provider",
    "context": "coalesce(context, '')",
    "operation": "operation",
    "day": "strftime('%Y-%m-%d', ts / 1000, 'unixepoch')",
    "hour": "strftime('%Y-%m-%dT%H:00Z', ts / 1000, 'unixepoch')",
    "run": "coalesce(run_id, '')",
    "total": "''",
}
_FIGURES = ("ts", "input", "output", "cached", "reasoning", "usd", "charged")
_SOUND = " AND ".join(f"typeof({column}) IN ('integer', 'null')" for column in _FIGURES)
"""SQLite keeps words in a column of numbers, and would take them for 0 in a sum."""


@dataclass(frozen=True, slots=True)
class Spend:
    """Sums of a group of calls. `usd` adds the known prices; `unpriced` calls have none, so `charged` may be more.

    `charged` is what budgets count: the worst case where the real figure is unknown. A sum of unknowns only is None.
    """

    key: str
    calls: int
    failed: int
    input: int | None
    output: int | None
    cached: int | None
    reasoning: int | None
    usd: Decimal | None
    unpriced: int
    charged: Decimal


@dataclass(frozen=True, slots=True)
class Used:
    """What a scope has spent and what calls in flight hold of it."""

    usd: Decimal
    tokens: int
    calls: int
    held_usd: Decimal
    held_tokens: int
    held_calls: int

    def plus(self, other: Used) -> Used:
        """Figure by figure."""
        return Used(
            self.usd + other.usd,
            self.tokens + other.tokens,
            self.calls + other.calls,
            self.held_usd + other.held_usd,
            self.held_tokens + other.held_tokens,
            self.held_calls + other.held_calls,
        )


class Ledger:
    """The ledger of one store; several processes may keep one together. `clock` gives epoch milliseconds."""

    def __init__(self, store: Store, *, clock: Callable[[], int] | None = None) -> None:
        self._store = store
        self._clock = clock or _now
        self._owner = secrets.token_hex(16)
        self._numbers = count(1)
        self._open: set[str] = set()
        self._seen: dict[tuple[str, str], Used] = {}
        self._moved: dict[tuple[str, str], int] = {}
        self._started = False

    @property
    def durable(self) -> bool:
        """False when the rows end with this process."""
        return self._store.durable

    def now(self) -> int:
        """Epoch milliseconds, by the clock that says which day it is."""
        return self._clock()

    def add(self, entry: Entry) -> None:
        """Write a row of a call that nobody reserved for, soon and without waiting."""
        self._store.post(self.insert, entry)

    def insert(self, connection: sqlite3.Connection, entries: Sequence[Entry]) -> None:
        """Write such rows within somebody's transaction: with what they belong to, or not at all."""
        rules.insert(connection, [columns(entry) for entry in entries], now=self._clock())

    async def reserve(
        self,
        scopes: Sequence[Scope],
        *,
        usd: Decimal | None,
        tokens: int | None,
        calls: int = 1,
        entry: Entry | None = None,
        ahead: bool = False,
        out_of: Reservation | None = None,
    ) -> Reservation:
        """Hold the worst case of a call in every scope that has a limit, before the call is made.

        `usd` and `tokens` are the most it can use, None where that is unknown: BudgetExceeded if a scope limits them.
        `entry` describes the call for the ledger in case this process does not live to commit it. What is held `ahead`
        is for calls to come, each of which takes its dollars `out_of` it; release what is left of it. Raises
        BudgetExceeded when a limit would be passed (then nothing is held), StoreError when it cannot be written.
        """
        if (usd is not None and usd < 0) or (tokens is not None and tokens < 0) or calls < 0:
            raise ValueError("a reservation cannot be negative")
        limited = [scope for scope in scopes if scope.limited]
        made = Reservation(
            f"{self._owner}-{next(self._numbers)}",
            tuple((scope.kind, scope.key) for scope in limited),
            usd,
            tokens,
            calls,
        )
        if not limited:
            return made
        if not self._started:
            self._started = True  # first: should the disk fail now, what is held later is renewed all the same
            self._store.repeat(LEASE_SECONDS / 3, self._renew)
            self._store.repeat(PRUNE_SECONDS, self._prune)
            await self._store.write(self._prune)
        amount = (None if usd is None else rules.nano(usd), tokens, calls)
        row = rules.AHEAD if ahead else None if entry is None else columns(entry)

        def hold(connection: sqlite3.Connection) -> tuple[list[rules.Row], int]:
            now = self._clock()
            expires = now + LEASE_SECONDS * 1000
            taken = 0 if out_of is None else rules.draw(connection, out_of.id, amount[0] or 0, now)
            found = rules.hold(connection, made.id, self._owner, limited, amount, row, now=now, expires=expires)
            return found, taken

        self._open.add(made.id)
        moved = [self._moved.get(key) for key in made.scopes]
        try:
            states, taken = await self._store.write(hold)
        except BaseException:
            self._open.discard(made.id)
            for key in made.scopes:
                self._seen.pop(key, None)
            raise
        if out_of is not None and out_of.usd is not None:
            out_of.usd -= rules.dollars(taken)
        if max(len(self._seen), len(self._moved)) > _SEEN:
            self._seen.clear()
            self._moved.clear()
        worst = Used(Decimal(0), 0, 0, usd or Decimal(0), tokens or 0, calls)
        for key, state, number in zip(made.scopes, states, moved, strict=True):
            if self._moved.get(key) == number:
                self._seen[key] = _used(state).plus(worst)
            else:  # another call was settled meanwhile, and `state` may be from before that
                self._seen.pop(key, None)
        return made

    def commit(
        self, reservation: Reservation, entry: Entry, *, usd: Decimal | None = None, tokens: int | None = None
    ) -> None:
        """Put the real figure in the place of what was held, and write the row: in one transaction, soon.

        Until it is on disk the worst case stands there, and that is what counts should this process die. `usd` and
        `tokens` are what was really used; left out, they are the entry's. Unknown (or impossible) figures are charged
        at the worst case, so for a failure that is known not to be billed pass 0.
        """
        if reservation.settled:
            raise ValueError("this reservation has been settled before")
        worst = (None if reservation.usd is None else rules.nano(reservation.usd), reservation.tokens)
        row = columns(entry, worst, usd=usd, tokens=tokens)
        if not reservation.scopes:
            reservation.settled = True
            self._store.post(self._rows, row)
            return
        self._settle(reservation, row)

    def _rows(self, connection: sqlite3.Connection, rows: list[Any]) -> None:
        rules.insert(connection, rows, now=self._clock())

    def release(self, reservation: Reservation) -> None:
        """Give back what was held: nothing was sent. After `commit` it does nothing, so it may stand in a `finally`."""
        if reservation.settled:
            return
        if not reservation.scopes:
            reservation.settled = True
            return
        self._settle(reservation, None)

    def _settle(self, reservation: Reservation, row: rules.Row | None) -> None:
        # Not renewed from here on: if the write fails, what was held expires and stays spent at its worst case.
        self._open.discard(reservation.id)
        self._store.post(self._settled, (reservation, row))
        reservation.settled = True
        usd, tokens, calls = (0, 0, 0) if row is None else (row[-2], row[-1], reservation.calls)
        back = (-(reservation.usd or Decimal(0)), -(reservation.tokens or 0), -reservation.calls)
        change = Used(rules.dollars(usd), tokens, calls, *back)
        for key in reservation.scopes:
            self._moved[key] = next(self._numbers)
            if (seen := self._seen.get(key)) is not None:
                self._seen[key] = seen.plus(change)

    def _settled(self, connection: sqlite3.Connection, rows: list[Any]) -> None:
        for reservation, row in rows:
            rules.settle(connection, reservation, [] if row is None else [row], reservation.calls, now=self._clock())

    def _prune(self, connection: sqlite3.Connection) -> None:
        rules.prune(connection, self._clock())

    def _renew(self, connection: sqlite3.Connection) -> None:
        expires = self._clock() + LEASE_SECONDS * 1000
        connection.executemany(
            "UPDATE reservations SET expires = ? WHERE id = ? AND ledger IS NULL",
            [(expires, reservation) for reservation in list(self._open)],
        )

    async def expire(self) -> None:
        """Charge the reservations of dead processes now; `reserve` does so by itself."""
        await self._store.write(lambda connection: rules.expire(connection, self._clock()))

    async def used(self, kind: str, key: str) -> Used:
        """What a scope has used; all 0 for one that was never limited."""
        found = await self._store.query(
            "SELECT usd, tokens, calls, held_usd, held_tokens, held_calls FROM budgets WHERE kind = ? AND key = ?",
            (kind, key),
        )
        return _used(found[0] if found else (0,) * 6)

    async def seen(self, kind: str, key: str) -> Used:
        """The same as this process knows it from its own calls; it looks at the disk only where it knows nothing.

        For scopes that one process at a time has, a run's. A reservation is checked against the disk in any case.
        """
        known = self._seen.get((kind, key))
        return known if known is not None else await self.used(kind, key)

    def forget(self, kind: str, key: str) -> None:
        """Look at the disk again: another process has had this scope meanwhile."""
        self._seen.pop((kind, key), None)

    async def spend(
        self,
        group_by: GroupBy = "total",
        *,
        since: int | None = None,
        until: int | None = None,
        principal: str | None = None,
    ) -> list[Spend]:
        """Sums per group, dearest first, of the calls that started in [since, until) epoch milliseconds.

        Days and hours are UTC. With `principal` only the calls made for it. Rows that `damaged` counts are left out.
        """
        where = [_SOUND, "ts >= ?", "ts < ?"]
        values: list[Any] = [since if since is not None else 0, until if until is not None else 2**62]
        if principal is not None:
            where.append("principal = ?")
            values.append(principal)
        found = await self._store.query(
            f"SELECT {_GROUPS[group_by]} AS grouped, count(*), sum(outcome <> 'ok'), sum(input), sum(output),"
            " sum(cached), sum(reasoning), sum(usd), sum(usd IS NULL), sum(charged) FROM ledger"
            f" WHERE {' AND '.join(where)} GROUP BY grouped ORDER BY sum(charged) DESC, grouped",
            values,
        )
        return [_spend(*row) for row in found]

    async def damaged(self, principal: str | None = None) -> int:
        """Rows that hold no figures where figures belong: whoever wrote them, nothing can be added up from them."""
        mine, values = ("", []) if principal is None else (" AND principal = ?", [principal])
        found = await self._store.query(f"SELECT count(*) FROM ledger WHERE NOT ({_SOUND}){mine}", values)
        return int(found[0][0])


def _used(row: rules.Row) -> Used:
    usd, tokens, calls, held_usd, held_tokens, held_calls = row
    return Used(rules.dollars(usd), tokens, calls, rules.dollars(held_usd), held_tokens, held_calls)


def _spend(key: str, *sums: Any) -> Spend:
    calls, failed, read, written, cached, reasoning, usd, unpriced, charged = sums
    return Spend(key, calls, failed, read, written, cached, reasoning, _dollars(usd), unpriced, rules.dollars(charged))


def _dollars(amount: int | None) -> Decimal | None:
    return None if amount is None else rules.dollars(amount)


def _now() -> int:
    return time.time_ns() // 1_000_000
