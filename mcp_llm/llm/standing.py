"""What an order of many calls holds of the budgets while it is open: for days, over restarts, by nobody's lease.

It is held under the order's own name, in the day in which it was ordered, and let go or replaced by what it cost in the
transaction that ends the order. Functions of a connection; they decide nothing about prices.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from . import reservation as rules
from .entry import columns
from .reservation import Reservation

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence
    from decimal import Decimal

    from .entry import Entry
    from .reservation import Scope

LONGEST_MS: Final = 60 * rules.DAY_MS
"""Vendors forget results after 29 or 30 days; what was never collected stays spent at its worst case then."""


def hold(
    connection: sqlite3.Connection,
    order: str,
    scopes: Sequence[Scope],
    entry: Entry,
    *,
    usd: Decimal | None,
    tokens: int,
    calls: int,
) -> None:
    """Hold the worst case of an order that begins at `entry.ts`, or raise BudgetExceeded and hold nothing.

    Also in scopes without a limit: one that is set before the order ends counts it too.
    """
    amount = (None if usd is None else rules.nano(usd), tokens, calls)
    ends = entry.ts + LONGEST_MS
    rules.hold(connection, _id(order), rules.ORDER, scopes, amount, columns(entry), now=entry.ts, expires=ends)


def settle(
    connection: sqlite3.Connection, order: str, entries: Sequence[Entry], *, billed: Collection[str], now: int
) -> bool:
    """Put its calls in the place of what was held, as rows of the moment of the order; False where nothing was held.

    None let it go. `billed` are outcomes of calls that cost something: where it is not known what, the rest of the
    worst case stays spent, as all of them together have not cost more.
    """
    found = connection.execute(
        "SELECT scopes, usd, tokens, created FROM reservations WHERE id = ?", (_id(order),)
    ).fetchone()
    if found is None:
        return False
    scopes, usd, tokens, began = found
    known = [columns(replace(entry, ts=began)) for entry in entries]
    rest = (max(0, usd - sum(row[-2] for row in known)), max(0, tokens - sum(row[-1] for row in known)))
    rows: list[rules.Row] = []
    for entry, row in zip(entries, known, strict=True):
        if entry.outcome in billed:
            filled = columns(replace(entry, ts=began), rest)
            rest = (rest[0] - (filled[-2] - row[-2]), rest[1] - (filled[-1] - row[-1]))
            rows.append(filled)
        else:
            rows.append(row)
    keys = tuple((kind, key) for kind, key in json.loads(scopes))
    rules.settle(connection, Reservation(_id(order), keys, None, None, 1), rows, 1, now=now)
    return True


def _id(order: str) -> str:
    return f"{rules.ORDER}-{order}"
