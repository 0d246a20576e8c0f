"""Budgets in SQL: hold the worst case of a call, settle it with the real figure, and never let limits be overshot.

Functions of a connection inside somebody's transaction; money is integer nano-dollars here. A reservation whose process
died may stand for a call that was billed: when it expires it stays spent at its worst case, as a ledger row with the
outcome "unknown". Should its process come back after all (it was only stopped), the real figure replaces that row.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from mcp_llm.errors import BudgetExceeded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

Row = tuple[Any, ...]
Key = tuple[str, str]

AHEAD: Row = ()
"""The row of what is held ahead, for calls to come: nothing was sent for it, so a dead process has spent none of it."""
NANO = 10**9
PRINCIPAL = "principal"
DAILY = frozenset({"day", PRINCIPAL})
"""Kinds that hold over calls and processes."""
DAY_MS = 86_400_000
ORDER = "order"
"""The owner of what an order holds for as long as it is open (`standing.py`): no process renews it, none lets it go."""
FAR_MS = 600_000
"""What was to be renewed later than that, in milliseconds from now, was reserved before the clock was set back."""
_EPOCH = datetime.date(1970, 1, 1)
_MOST = 10**15
"""A million dollars or 10^15 tokens for one call: more than that is garbage, and is treated as unknown."""

COLUMNS = (
    "ts",
    "run_id",
    "parent_run",
    "principal",
    "context",
    "provider",
    "model",
    "model_used",
    "operation",
    "input",
    "output",
    "cached",
    "cache_write",
    "reasoning",
    "usd",
    "cost_source",
    "first_token_ms",
    "total_ms",
    "outcome",
    "request_id",
    "charged",
    "charged_tokens",
)
INSERT = f"INSERT INTO ledger ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_AMOUNT = "usd = usd + ?, tokens = tokens + ?, calls = calls + ?"
_HELD = "held_usd = held_usd + ?, held_tokens = held_tokens + ?, held_calls = held_calls + ?"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a limit holds for: `Scope("day", "2026-11-20", usd=Decimal(5))`, `Scope("run", run_id, calls=50)`.

    A limit that is None is not enforced. The kind "day" (UTC) starts with what the ledger already has for that day and
    also counts the calls that nobody reserved; "principal" (`alice on 2026-11-20`) starts with what the ledger has for
    that one; any other kind counts reserved calls only.
    """

    kind: str
    key: str
    usd: Decimal | None = None
    tokens: int | None = None
    calls: int | None = None

    @property
    def limited(self) -> bool:
        """True when there is something to enforce."""
        return not (self.usd is None and self.tokens is None and self.calls is None)


@dataclass(slots=True)
class Reservation:
    """A worst case that is held; `usd` and `tokens` None: unknown, and no scope limits them. Settle it exactly once."""

    id: str
    scopes: tuple[Key, ...]
    usd: Decimal | None
    tokens: int | None
    calls: int
    settled: bool = False


def nano(usd: Decimal) -> int:
    """Nano-dollars, rounded up: a budget is never overshot by rounding."""
    return int((usd * NANO).to_integral_value(ROUND_CEILING))


def dollars(amount: int) -> Decimal:
    """Nano-dollars as dollars, exact."""
    return Decimal(amount).scaleb(-9)


def money(usd: Decimal | None) -> int | None:
    """Nano-dollars; None for what cannot be a price: negative, not a number, beyond all measure."""
    if usd is None or not usd.is_finite() or usd < 0:
        return None
    amount = nano(usd)
    return amount if amount <= _MOST else None


def count(tokens: int | None) -> int | None:
    """A token count; None for a negative or absurd one, which must not lower or overflow a sum."""
    return tokens if tokens is not None and 0 <= tokens <= _MOST else None


def hold(
    connection: sqlite3.Connection,
    id: str,
    owner: str,
    scopes: Sequence[Scope],
    amount: tuple[int | None, int | None, int],
    row: Row | None,
    *,
    now: int,
    expires: int,
) -> list[Row]:
    """Check every scope and hold the amount in all of them, or raise BudgetExceeded and hold nothing.

    What each limited scope had used and held before, in the order of the columns of `budgets`.
    """
    expire(connection, now)
    held = tuple(min(value or 0, _MOST) for value in amount)
    limited = [scope for scope in scopes if scope.limited]
    states = [_state(connection, scope, now) for scope in limited]
    for scope, state in zip(limited, states, strict=True):
        _check(scope, state, amount)
    _move(connection, [(scope.kind, scope.key) for scope in scopes], held=held, now=now)
    connection.execute(
        "INSERT INTO reservations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (
            id,
            owner,
            json.dumps([(scope.kind, scope.key) for scope in scopes]),
            *held,
            None if row is None else json.dumps(row),
            now,
            expires,
        ),
    )
    return states


def draw(connection: sqlite3.Connection, ahead: str, usd: int, now: int) -> int:
    """Let go of so much of what is held ahead, so that a call of it can hold it, in the same transaction; how much."""
    held = "SELECT scopes, usd FROM reservations WHERE id = ?"
    found = connection.execute(held, (ahead,)).fetchone()
    if found is None:  # it has expired
        return 0
    taken = min(found[1], usd)
    connection.execute("UPDATE reservations SET usd = usd - ? WHERE id = ?", (taken, ahead))
    _move(connection, [(kind, key) for kind, key in json.loads(found[0])], held=(-taken, 0, 0), now=now)
    return int(taken)


def _state(connection: sqlite3.Connection, scope: Scope, now: int) -> Row:
    select = "SELECT usd, tokens, calls, held_usd, held_tokens, held_calls FROM budgets WHERE kind = ? AND key = ?"
    found: Row | None = connection.execute(select, (scope.kind, scope.key)).fetchone()
    if found is None:
        found = _seed(connection, scope.kind, scope.key)
        connection.execute(
            "INSERT INTO budgets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (scope.kind, scope.key, *found, now)
        )
    return found


def _seed(connection: sqlite3.Connection, kind: str, key: str) -> Row:
    """What the ledger, and orders that are open, already have for a scope that is limited for the first time."""
    if kind not in DAILY:
        return (0,) * 6
    who, _, date = key.rpartition(" on ")
    start = (datetime.date.fromisoformat(date) - _EPOCH).days * DAY_MS
    sums = "SELECT coalesce(sum(charged), 0), coalesce(sum(charged_tokens), 0), count(*) FROM ledger"
    where = " WHERE ts >= ? AND ts < ?"
    values: list[Any] = [start, start + DAY_MS]
    if kind == PRINCIPAL:
        where, values = f"{where} AND principal = ?", [*values, who]
    spent: Row = connection.execute(sums + where, values).fetchone()
    open_ = (
        "SELECT coalesce(sum(usd), 0), coalesce(sum(tokens), 0), coalesce(sum(calls), 0) FROM reservations "
        "WHERE ledger IS NULL AND instr(scopes, ?)"
    )
    held: Row = connection.execute(open_, (json.dumps((kind, key)),)).fetchone()
    return spent + held


def _check(scope: Scope, state: Row, amount: tuple[int | None, int | None, int]) -> None:
    limits = (None if scope.usd is None else nano(scope.usd), scope.tokens, scope.calls)
    for index, (unit, limit, want) in enumerate(zip(("usd", "tokens", "calls"), limits, amount, strict=True)):
        if limit is None:
            continue
        name = f"{scope.kind}.{unit}"
        if want is None:
            fix = (
                "give the model a price, or set a worst case for unknown prices" if unit == "usd" else "set max_tokens"
            )
            raise BudgetExceeded(
                f"The {unit} budget of the {scope.kind} cannot be kept, as the worst case is unknown: {fix}.",
                limit=name,
            )
        used, held = state[index], state[index + 3]
        if used + held + want > limit:
            raise BudgetExceeded(
                f"The {scope.kind} {scope.key} may use {_show(unit, limit)}; {_show(unit, used)} are spent, "
                f"{_show(unit, held)} held by calls in flight, and this call may need {_show(unit, want)}: "
                "raise the limit, lower max_tokens, or take a cheaper model.",
                limit=name,
            )


def _show(unit: str, amount: int) -> str:
    return f"{dollars(amount).normalize():f} USD" if unit == "usd" else f"{amount} {unit}"


def settle(
    connection: sqlite3.Connection, reservation: Reservation, rows: Sequence[Row], calls: int, *, now: int
) -> None:
    """Put the real figures (`charged` and `charged_tokens` of rows of so many calls each) in the place of the held.

    No row is dated later than the moment at which it was held.
    """
    found = connection.execute(
        "SELECT usd, tokens, calls, ledger, created FROM reservations WHERE id = ?", (reservation.id,)
    ).fetchone()
    if found is not None:  # a call that ends after midnight is one of the day whose budget held it, in every sum
        rows = [(min(row[0], found[4]), *row[1:]) for row in rows]
    spent = (sum(row[-2] for row in rows), sum(row[-1] for row in rows), calls * len(rows))
    if found is None:
        _move(connection, reservation.scopes, spent=spent, now=now)
    else:
        worst, stand_in = found[:3], found[3]
        back = tuple(-value for value in worst)
        if stand_in is None:
            _move(connection, reservation.scopes, spent=spent, held=back, now=now)
        else:
            # It had expired, and its stand-in was charged.
            _drop_row(connection, stand_in, worst, reservation.scopes, now)
            _move(connection, reservation.scopes, spent=spent, now=now)
        connection.execute("DELETE FROM reservations WHERE id = ?", (reservation.id,))
    if rows:
        insert(connection, rows, besides=reservation.scopes, calls=calls, now=now)


def _drop_row(connection: sqlite3.Connection, ledger: int, worst: Row, scopes: Sequence[Key], now: int) -> None:
    found = connection.execute("SELECT ts FROM ledger WHERE id = ?", (ledger,)).fetchone()
    connection.execute("DELETE FROM ledger WHERE id = ?", (ledger,))
    days = [("day", day(found[0]))] if found is not None and not _has_day(scopes) else []
    _move(connection, [*scopes, *days], spent=tuple(-value for value in worst), now=now)


def insert(
    connection: sqlite3.Connection, rows: Sequence[Row], *, besides: Sequence[Key] = (), calls: int = 1, now: int
) -> None:
    """Ledger rows, counted in their day's budget where there is one, unless `besides` says that a day has them."""
    connection.executemany(INSERT, rows)
    if _has_day(besides):
        return
    sums: dict[int, list[int]] = {}
    for row in rows:
        total = sums.setdefault(row[0] // DAY_MS, [0, 0, 0])
        total[0] += row[-2]
        total[1] += row[-1]
        total[2] += calls
    for number, total in sums.items():
        _move(connection, [("day", day(number * DAY_MS))], spent=tuple(total), now=now)


def _has_day(keys: Iterable[Key]) -> bool:
    return any(kind == "day" for kind, _ in keys)


def _move(
    connection: sqlite3.Connection, keys: Iterable[Key], *, spent: Row = (0, 0, 0), held: Row = (0, 0, 0), now: int
) -> None:
    connection.executemany(
        f"UPDATE budgets SET {_AMOUNT}, {_HELD}, updated = ? WHERE kind = ? AND key = ?",
        [(*spent, *held, now, *key) for key in keys],
    )


def expire(connection: sqlite3.Connection, now: int, gone: Key | None = None) -> None:
    """Turn reservations that nobody renews into spent ones, each with an "unknown" row in the ledger.

    Those in the scope `gone` too: whoever made them is known not to be there any more. What an order holds stays, until
    nobody can have its results any more.
    """
    select = (
        "SELECT id, scopes, usd, tokens, calls, entry, created FROM reservations WHERE ledger IS NULL "
        f"AND (expires < ? OR (owner <> '{ORDER}' AND (expires > ? OR instr(scopes, ?))))"
    )
    among = json.dumps(gone)  # a part of the text of its scopes; `null`, which none has, where there is none
    for reserved, scopes, usd, tokens, calls, entry, created in connection.execute(
        select, (now, now + FAR_MS, among)
    ).fetchall():
        keys = [(kind, key) for kind, key in json.loads(scopes)]
        if entry == json.dumps(AHEAD):
            _move(connection, keys, held=(-usd, -tokens, -calls), now=now)
            connection.execute("DELETE FROM reservations WHERE id = ?", (reserved,))
            continue
        row = dict(zip(COLUMNS, json.loads(entry), strict=True)) if entry else dict.fromkeys(COLUMNS)
        row |= {"ts": row["ts"] or created, "usd": None, "cost_source": "worst_case", "outcome": "unknown"}
        row |= {"provider": row["provider"] or "unknown", "model": row["model"] or "unknown"}
        row |= {"operation": row["operation"] or "chat", "charged": usd, "charged_tokens": tokens}
        _move(connection, keys, spent=(usd, tokens, calls), held=(-usd, -tokens, -calls), now=now)
        insert(connection, [tuple(row.values())], besides=keys, calls=calls, now=now)
        made = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
        connection.execute("UPDATE reservations SET ledger = ? WHERE id = ?", (made, reserved))


def prune(connection: sqlite3.Connection, now: int) -> None:
    """Forget reservations nobody will settle any more, and budgets that were idle for 30 days.

    Not those of runs without an end: one that is gone on with later has what it had left, and no more.
    """
    connection.execute("DELETE FROM reservations WHERE ledger IS NOT NULL AND expires < ?", (now - DAY_MS,))
    idle = "updated < ? AND held_usd = 0 AND held_tokens = 0 AND held_calls = 0"
    idle += " AND NOT EXISTS (SELECT 1 FROM runs WHERE id = key AND status IN ('running', 'waiting'))"
    connection.execute(f"DELETE FROM budgets WHERE {idle}", (now - 30 * DAY_MS,))


def day(ts: int) -> str:
    """The UTC day of an epoch time in milliseconds, as budgets of the kind "day" name it: "2026-11-20"."""
    return (_EPOCH + datetime.timedelta(days=ts // DAY_MS)).isoformat()
