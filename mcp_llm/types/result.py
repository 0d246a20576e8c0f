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
    """Tokens sent, those read from a cache included."""
    output: int | None = None
    """Tokens that came back, reasoning included."""
    total: int | None = None
    """`input` plus `output`; null where either is unknown."""
    cached: int | None = None
    """Of the input, read from the provider's cache."""
    cache_write: int | None = None
    """Of the input, written into the provider's cache."""
    reasoning: int | None = None
    """Of the output, spent on thinking."""
    images: int | None = None
    """Pictures that were paid by the piece."""
    seconds: float | None = None
    """Of sound or film, where that is paid."""
    characters: int | None = None
    """Spoken, where those are paid."""
    estimated: bool = False
    """True: counted here, because the provider said nothing."""


class Cost(Value):
    """Dollars, who says so (`provider`, `user`, `genai-prices`, `catalog`, `local`), and the day of the price."""

    usd: float | None = None
    """Dollars; null where nobody knows the price, 0 only for models on this machine."""
    source: str | None = None
    """Who says so: `provider`, `user`, `genai-prices`, `catalog` or `local`."""
    priced_at: str | None = None
    """The day of the price, `2026-11-28`."""


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
    """What its result has to name."""
    name: str
    """The function's name."""
    arguments: Any


class Tried(Value):
    """A target that was tried before the one that answered, and why it did not."""

    provider: str
    """Who was asked."""
    model: str
    """Its model."""
    error: str
    """The `kind` of the error, as in `mcp_llm.errors`."""
    message: str
    """What it said."""
    status: int | None = None
    """The HTTP status, null where no reply came."""


class Generated(Value):
    """One answer with its receipt."""

    response: str
    """The answer's text."""
    model: str = Field(description="what was asked for")
    model_used: str | None = None
    """The model that really answered, as the provider names it."""
    provider: str | None = None
    """Who answered."""
    finish_reason: Stop = "other"
    """Why it ended, in one vocabulary for all vendors; `length` means cut by `max_tokens`."""
    finish_reason_raw: str | None = None
    """The vendor's own word for it."""
    thinking: str | None = None
    """What it showed of its reasoning."""
    tool_calls: tuple[Call, ...] | None = None
    """Functions it wants called; nothing here calls them."""
    parsed: Any = None
    """The JSON value, where `json_schema` or `json_output` asked for one."""
    usage: Tokens = Field(default_factory=Tokens)
    """What was counted."""
    cost: Cost = Field(default_factory=Cost)
    """What it cost."""
    latency_ms: int | None = None
    """Milliseconds from the request to the end."""
    first_token_ms: int | None = None
    """Milliseconds until its first word."""
    request_id: str | None = None
    """The provider's id of the request, for its support."""
    run_id: str
    """The id under which it is kept."""
    thread: str | None = None
    """The conversation it belongs to."""
    fallbacks: tuple[Tried, ...] = ()
    """Who was tried first, and why they failed."""
    warnings: tuple[str, ...] = ()
    """What was noticed: parameters left out, files skipped, a price unknown."""
    citations: Any = None
    """Sources, as the vendor gives them."""
    search_results: Any = None
    """What was found on the web for it, cited or not, as the vendor gives it."""
    logprobs: Any = None
    """How likely its tokens were, as the vendor gives them; where `options` asked for them."""

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
