"""Tokens of a call, in one normal form for every vendor; unknown is None, never 0."""

from __future__ import annotations

from decimal import Decimal

from .message import Value


def _add(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


class Usage(Value):
    """Token counts. `input` includes cache reads and writes, `output` includes reasoning, as genai-prices expects.

    `usd` is money the provider itself reported for the call (OpenRouter, Perplexity, xAI). `estimated` says that we
    counted because the provider did not.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    usd: Decimal | None = None
    estimated: bool = False

    @property
    def total(self) -> int | None:
        """Input plus output, None when either is unknown."""
        return None if self.input is None or self.output is None else self.input + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=_add(self.input, other.input),
            output=_add(self.output, other.output),
            cached=_add(self.cached, other.cached),
            cache_write=_add(self.cache_write, other.cache_write),
            cache_write_1h=_add(self.cache_write_1h, other.cache_write_1h),
            reasoning=_add(self.reasoning, other.reasoning),
            usd=other.usd if self.usd is None else self.usd if other.usd is None else self.usd + other.usd,
            estimated=self.estimated or other.estimated,
        )
