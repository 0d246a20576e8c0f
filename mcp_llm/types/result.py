"""The result of asking once: what `generate` gives as a tool, a function and a command. Unknown is null, never 0."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import Field

from .chat import Stop
from .message import Value

if TYPE_CHECKING:
    from collections.abc import Iterable


class Tokens(Value):
    """What was counted; `input` includes cached tokens, `output` reasoning. Pieces only where they are paid."""

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    images: int | None = None
    seconds: float | None = None
    characters: int | None = None
    estimated: bool = False


class Cost(Value):
    """Dollars, who says so (`provider`, `user`, `genai-prices`, `catalog`, `local`), and the day of the price."""

    usd: float | None = None
    source: str | None = None
    priced_at: str | None = None


def tokens_in_all(counts: Iterable[Tokens]) -> Tokens:
    """The sum; a count that nobody gave is null, one that only some gave is the sum of those."""
    listed = list(counts)
    names = ("input", "output", "total", "cached", "cache_write", "reasoning")
    found = {name: [count for one in listed if (count := getattr(one, name)) is not None] for name in names}
    sums = {name: sum(values) if values else None for name, values in found.items()}
    return Tokens(**sums, estimated=any(one.estimated for one in listed))


def cost_in_all(costs: Iterable[Cost]) -> Cost:
    """The sum; unknown where one of them is."""
    listed = list(costs)
    known = [one.usd for one in listed if one.usd is not None]
    if not listed or len(known) < len(listed):
        return Cost()
    sources = dict.fromkeys(one.source for one in listed if one.source)
    priced = min((one.priced_at for one in listed if one.priced_at), default=None)
    usd = float(sum(Decimal(str(usd)) for usd in known))
    return Cost(usd=usd, source=", ".join(sources) or None, priced_at=priced)


class Call(Value):
    """A tool call the model wants made; `arguments` is parsed where it is JSON, else the raw text."""

    id: str
    name: str
    arguments: Any


class Tried(Value):
    """A target that was tried before the one that answered, and why it did not."""

    provider: str
    model: str
    error: str
    message: str
    status: int | None = None


class Generated(Value):
    """One answer with its receipt."""

    response: str
    model: str = Field(description="what was asked for")
    model_used: str | None = None
    provider: str | None = None
    finish_reason: Stop = "other"
    finish_reason_raw: str | None = None
    thinking: str | None = None
    tool_calls: tuple[Call, ...] | None = None
    parsed: Any = None
    usage: Tokens = Field(default_factory=Tokens)
    cost: Cost = Field(default_factory=Cost)
    latency_ms: int | None = None
    first_token_ms: int | None = None
    request_id: str | None = None
    run_id: str
    thread: str | None = None
    fallbacks: tuple[Tried, ...] = ()
    warnings: tuple[str, ...] = ()
    citations: Any = None

    @property
    def receipt(self) -> str:
        """One line: model, tokens, cost, seconds, run id."""
        ended = "" if self.finish_reason in {"stop", "tool_calls"} else f"stopped: {self.finish_reason}"
        return line(self, ended, thread=self.thread)


def line(result: Any, *more: str, thread: str | None = None) -> str:
    """The receipt of any result: who answered, what was counted, cost, seconds, run id."""
    words = [f"{result.provider}:{result.model_used}" if result.provider else result.model]
    usage = result.usage
    mark = "~" if usage.estimated else ""
    if usage.input is not None or usage.output is not None:
        words.append(f"{mark}{_count(usage.input)} in / {_count(usage.output)} out")
    if usage.seconds is not None:
        words.append(f"{usage.seconds:g} s long")
    if usage.characters is not None:
        words.append(f"{usage.characters:,} characters")
    usd = result.cost.usd
    words.append("cost unknown" if usd is None else "free" if not usd else dollars(usd))
    if result.latency_ms is not None:
        words.append(f"{result.latency_ms / 1000:.1f} s")
    words += [one for one in more if one]
    words.append(f"run {result.run_id}")
    if thread:
        words.append(f"thread {thread}")
    return " · ".join(words)


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"


def dollars(usd: float | Decimal) -> str:
    """`$0.50`, `$0.000005`, `$1,234.00`: cents at least, never an exponent."""
    if not usd:
        return "$0"
    if usd >= 1:
        return f"${usd:,.2f}"
    whole, _, part = f"{usd:.{6 if usd >= 1e-5 else 12}f}".rstrip("0").partition(".")
    return f"${whole}.{part:0<2}"
