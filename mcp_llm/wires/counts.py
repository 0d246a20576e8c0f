"""Numbers that vendors report beside an answer: counts of tokens, and money. What is no number is unknown.

An answer is never lost over what was counted wrongly, so nothing here raises.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mcp_llm.types.message import Json

MOST: Final = 1 << 53
"""No count is larger, and no JSON or database loses a digit below it."""


def table(data: Json, name: str) -> dict[str, Any]:
    """The object of that name; an empty one where there is none."""
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def first(*values: Json) -> int | None:
    """The first that is a count: a whole number, not negative."""
    for value in values:  # of which nearly all are None
        if value is not None and (known := amount(value)) is not None and known % 1 == 0:
            return int(known)
    return None


def amount(value: Json) -> float | None:
    """A number that is not negative nor out of all bounds: seconds or the like."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST else None


def total(*values: int | None) -> int | None:
    """What those that are known add up to; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def dollars(data: Json) -> Decimal | None:
    """What a `usage` says the call cost: ticks of 10^-10 dollars (xAI), else `cost`, bare or under `total_cost`."""
    if not isinstance(data, dict):
        return None
    if (ticks := first(data.get("cost_in_usd_ticks"))) is not None:
        return Decimal(ticks).scaleb(-10)
    cost = data.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if (paid := money(cost)) is not None and data.get("is_byok") is True:
        # With the user's own key `cost` is only the router's fee; the vendor behind it bills the rest.
        paid += money(table(data, "cost_details").get("upstream_inference_cost")) or Decimal(0)
    return paid


def money(value: Json) -> Decimal | None:
    """An amount of money that is possible, exactly as it was written."""
    known = amount(value)
    return None if known is None else Decimal(str(known))
