"""One row of the token log: what an upstream call was, used and cost; never a prompt, an answer or a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_llm.types.text import name, unbroken

from . import reservation as rules

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass(slots=True)
class Entry:
    """One upstream call. `ts` is its start in epoch milliseconds; `outcome` is "ok" or the `kind` of an error.

    `model` is what was asked for, `model_used` what the provider said it was. `input` includes cache reads and writes,
    `output` includes reasoning. Unknown is None, never 0. `cost_source` says where `usd` comes from.
    """

    ts: int
    provider: str
    model: str
    outcome: str = "ok"
    operation: str = "chat"
    model_used: str | None = None
    run_id: str | None = None
    parent_run: str | None = None
    principal: str | None = None
    context: str | None = None
    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    usd: Decimal | None = None
    cost_source: str | None = None
    first_token_ms: int | None = None
    total_ms: int | None = None
    request_id: str | None = None


def columns(
    entry: Entry,
    worst: tuple[int | None, int | None] = (None, None),
    *,
    usd: Decimal | None = None,
    tokens: int | None = None,
) -> rules.Row:
    """The row in the order of `COLUMNS`; impossible figures become unknown, unknown ones are charged at the worst."""
    price = rules.money(entry.usd)
    paid = rules.money(usd)
    read, written = rules.count(entry.input), rules.count(entry.output)
    used = rules.count(tokens)
    if used is None and read is not None and written is not None:
        used = read + written
    charged = paid if paid is not None else price
    return (
        entry.ts,
        entry.run_id,
        entry.parent_run,
        None if entry.principal is None else unbroken(entry.principal),
        _text(entry.context),
        _text(entry.provider),
        _text(entry.model),
        _text(entry.model_used),
        entry.operation,
        read,
        written,
        rules.count(entry.cached),
        rules.count(entry.cache_write),
        rules.count(entry.reasoning),
        price,
        entry.cost_source,
        entry.first_token_ms,
        entry.total_ms,
        entry.outcome,
        _text(entry.request_id),
        charged if charged is not None else worst[0] or 0,
        used if used is not None else worst[1] or 0,
    )


def _text(value: str | None) -> str | None:
    return None if value is None else name(value)
