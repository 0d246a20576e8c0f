"""`usage` of Chat Completions and its many relatives -> our token counts and the money that the vendor reports."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from mcp_llm.types.message import Json


def usage(data: Json) -> Usage | None:
    """Counts under whatever name the vendor has for them; None where there are none at all."""
    if not isinstance(data, dict) or not data:
        return None
    into, out = _table(data, "prompt_tokens_details"), _table(data, "completion_tokens_details")
    written = _table(data, "cache_creation")
    output = _first(data.get("completion_tokens"), data.get("output_tokens"))
    taken = _first(data.get("prompt_tokens"), data.get("input_tokens"))
    reasoning = _first(out.get("reasoning_tokens"), data.get("reasoning_tokens"))
    return Usage(
        input=taken,
        output=None if output is None else output + _apart(data, taken, output, reasoning),
        cached=_first(
            into.get("cached_tokens"),
            data.get("cached_tokens"),
            data.get("prompt_cache_hit_tokens"),
            data.get("cache_read_input_tokens"),
            data.get("num_cached_tokens"),
        ),
        cache_write=_first(into.get("cache_write_tokens"), data.get("cache_creation_input_tokens")),
        cache_write_1h=_first(written.get("ephemeral_1h_input_tokens")),
        reasoning=reasoning,
        usd=_usd(data),
    )


def _apart(data: dict[str, Any], taken: int | None, output: int, reasoning: int | None) -> int:
    """Generated tokens that `completion_tokens` leaves out: some vendors count reasoning (and citations) beside it.

    The total tells: it is then larger than the two by exactly these.
    """
    total = _first(data.get("total_tokens"))
    if total is None or taken is None or not reasoning:
        return 0
    rest = total - taken - output
    citations = _first(data.get("citation_tokens")) or 0
    return rest if rest > 0 and rest in (reasoning, reasoning + citations) else 0


def _table(data: dict[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _first(*values: Json) -> int | None:
    """The first that is a count."""
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value % 1 == 0:
            return int(value)
    return None


def _usd(data: dict[str, Any]) -> Decimal | None:
    """Dollars (OpenRouter; under `total_cost` at Perplexity) or ticks of 10^-10 dollars (xAI)."""
    ticks, cost = _first(data.get("cost_in_usd_ticks")), data.get("cost")
    if ticks is not None:
        return Decimal(ticks).scaleb(-10)
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    dollars = _money(cost)
    if dollars is not None and data.get("is_byok") is True:
        # With the user's own key `cost` is only the router's fee; the vendor behind it bills the rest.
        dollars += _money(_table(data, "cost_details").get("upstream_inference_cost")) or Decimal(0)
    return dollars


def _money(value: Json) -> Decimal | None:
    """A finite amount that is not negative, exactly as it was written."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    amount = Decimal(str(value))
    return amount if amount.is_finite() and amount >= 0 else None
