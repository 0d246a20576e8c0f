"""What a call used, in one normal form for every vendor and operation; unknown is None, never 0."""

from __future__ import annotations

from decimal import Decimal

from .message import Value

COUNTS = (
    *("input", "output", "cached", "cache_write", "cache_write_1h", "reasoning"),
    *("input_audio", "input_image", "output_audio", "output_image", "output_video"),
    *("images", "seconds", "characters"),
)
"""The fields that add up."""


class Usage(Value):
    """Token counts. `input` includes cache reads and writes, `output` includes reasoning, as genai-prices expects.

    `usd` is money the provider itself reported for the call (OpenRouter, Perplexity, xAI). `estimated` says that we
    counted because the provider did not. `input_audio` and its like are tokens and part of `input` or `output`; what is
    paid by the piece has `images` that were made, `seconds` of sound or film, `characters` that were spoken.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    output_video: int | None = None
    images: int | None = None
    seconds: float | None = None
    characters: int | None = None
    usd: Decimal | None = None
    estimated: bool = False

    @property
    def total(self) -> int | None:
        """Input plus output, None when either is unknown."""
        return None if self.input is None or self.output is None else self.input + self.output

    def __add__(self, other: Usage) -> Usage:
        sums = {}
        for name in COUNTS:
            a, b = getattr(self, name), getattr(other, name)
            sums[name] = b if a is None else a if b is None else a + b
        return Usage(
            **sums,
            usd=other.usd if self.usd is None else self.usd if other.usd is None else self.usd + other.usd,
            estimated=self.estimated or other.estimated,
        )
