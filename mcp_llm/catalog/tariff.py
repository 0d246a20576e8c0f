"""Rates in a form that prices a call in microseconds: one row per kind of token, cliffs by input size included.

Made from the user's or the catalog's `Rates`, or from an entry of genai-prices; gives the very figure that genai-prices
gives for the same usage (a test compares them over its whole list).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, datetime

    from mcp_llm.types.usage import Usage

    from .schema import Rates

ZERO: Final = Decimal(0)
_MILLION: Final = -6
_THOUSAND: Final = -3
_HOUR: Final = 3600
_CAUSES: Final = {"audio": "input_audio", "image": "input_image", "long cache": "cache_write_1h"}
KINDS: Final = frozenset(_CAUSES)
"""What a request may hold that has a rate of its own: sound, pictures, a cache that is to last for an hour."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Dollars per token; `cliffs` are (input tokens, rate), highest first: above one, all tokens cost its rate."""

    base: Decimal
    cliffs: tuple[tuple[int, Decimal], ...] = ()

    def at(self, tokens: int) -> Decimal:
        """The rate for a request with this many input tokens."""
        for start, rate in self.cliffs:
            if tokens > start:
                return rate
        return self.base

    def most(self, tokens: int | None = None) -> Decimal:
        """The highest of its steps, of those that a request of up to so many input tokens can reach."""
        return max([self.base, *(rate for start, rate in self.cliffs if tokens is None or tokens > start)])


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a model's tokens cost; None is a kind without a rate of its own, counted as plain input or output."""

    input: Rate | None
    output: Rate | None
    cached: Rate | None = None
    cache_write: Rate | None = None
    cache_write_1h: Rate | None = None
    reasoning: Rate | None = None
    request: Decimal = ZERO
    input_audio: Rate | None = None
    input_image: Rate | None = None
    output_audio: Rate | None = None
    output_image: Rate | None = None
    output_video: Rate | None = None
    image: Decimal | None = None
    second: Decimal | None = None
    hour: Decimal | None = None
    character: Decimal | None = None

    def cost(self, usage: Usage) -> Decimal | None:
        """Dollars for this usage; None when a count or rate it takes is unknown; impossible ones never pay back."""
        pieces = (
            (self.image, usage.images, 1),
            (self.second, usage.seconds, 1),
            (self.hour, usage.seconds, _HOUR),
            (self.character, usage.characters, 1),
        )
        paid = [(rate, count, per) for rate, count, per in pieces if rate is not None]
        if not paid:
            return self._tokens(usage)
        if any(count is None for _, count, _ in paid):
            return None
        total = sum((rate * Decimal(str(count)) / per for rate, count, per in paid), start=self.request)
        if self.input is None:
            return total
        tokens = self._tokens(usage)
        return None if tokens is None else total + tokens - self.request

    def _tokens(self, usage: Usage) -> Decimal | None:
        if usage.input is None or self.input is None:
            return None
        size = plain = usage.input
        total = self.request
        write = usage.cache_write or 0
        if self.cached is not None and usage.cached:
            total += self.cached.at(size) * usage.cached
            plain -= usage.cached
        if self.cache_write_1h is not None and (long := usage.cache_write_1h or 0):
            total += self.cache_write_1h.at(size) * long
            plain -= long
            write -= long
        if self.cache_write is not None and write > 0:
            total += self.cache_write.at(size) * write
            plain -= write
        for rate, count in ((self.input_audio, usage.input_audio), (self.input_image, usage.input_image)):
            if rate is not None and count:
                total += rate.at(size) * count
                plain -= count
        if plain > 0:
            total += self.input.at(size) * plain
        if self.output is None:
            return None if usage.output else total
        output = usage.output
        if output is None:
            return None
        if self.reasoning is not None and usage.reasoning:
            total += self.reasoning.at(size) * usage.reasoning
            output -= usage.reasoning
        for rate, count in (
            (self.output_audio, usage.output_audio),
            (self.output_image, usage.output_image),
            (self.output_video, usage.output_video),
        ):
            if rate is not None and count:
                total += rate.at(size) * count
                output -= count
        return total + self.output.at(size) * output if output > 0 else total

    def worst(self, input_tokens: int, max_output: int, kinds: Collection[str] = KINDS) -> Decimal | None:
        """The most that a request of up to this size can cost: all of it at the dearest rate that it can cause.

        `kinds` are those of `KINDS` that are in it. What comes out is the model's affair: any rate it has for that.
        """
        if self.input is None or (self.output is None and max_output):
            return None
        ways_in = [self.input, self.cached, self.cache_write]
        ways_in += [getattr(self, _CAUSES[kind]) for kind in kinds]
        ways_out = [self.output, self.reasoning, self.output_audio, self.output_image, self.output_video]
        dearest_in, dearest_out = (
            max((rate.most(input_tokens) for rate in ways if rate is not None), default=ZERO)
            for ways in (ways_in, ways_out)
        )
        return self.request + dearest_in * input_tokens + dearest_out * max_output

    @property
    def free(self) -> bool:
        """Whether everything in it is zero, which price lists also write where they do not know."""
        rates = (self.input, self.output, self.cached, self.cache_write, self.cache_write_1h, self.reasoning)
        pieces = (self.request, self.image, self.second, self.hour, self.character)
        return not any(pieces) and all(rate is None or not rate.most() for rate in rates)


def from_rates(rates: Rates) -> Tariff:
    """The user's or the catalog's own figures."""

    def rate(base: Decimal | None, above: Decimal | None) -> Rate | None:
        if base is None:
            return None
        cliffs = ((rates.above, above.scaleb(_MILLION)),) if rates.above is not None and above is not None else ()
        return Rate(base.scaleb(_MILLION), cliffs)

    return Tariff(
        input=rate(rates.input, rates.input_above),
        output=rate(rates.output, rates.output_above),
        cached=rate(rates.cached, rates.cached_above),
        cache_write=rate(rates.cache_write, None),
        input_audio=rate(rates.input_audio, None),
        input_image=rate(rates.input_image, None),
        output_audio=rate(rates.output_audio, None),
        output_image=rate(rates.output_image, None),
        output_video=rate(rates.output_video, None),
        image=rates.image,
        second=rates.second,
        hour=rates.hour,
        character=None if rates.characters is None else rates.characters.scaleb(_MILLION),
    )


@dataclass(frozen=True, slots=True)
class Listing:
    """An entry of genai-prices: its tariffs, each with the condition under which it holds, the last that holds wins."""

    tariffs: tuple[tuple[Any, Tariff], ...]

    def at(self, when: datetime) -> tuple[Tariff, date | None]:
        """The tariff of that moment and the date from which it holds, None where the list does not say."""
        for condition, tariff in reversed(self.tariffs):
            if condition is None or condition.active(when):
                return tariff, getattr(condition, "start_date", None)
        return self.tariffs[0][1], None


def listing(provider: str, model: str) -> Listing | None:
    """The entry of genai-prices for a model under its provider's id there; None when it has none."""
    from genai_prices import data_snapshot

    # The snapshot may be replaced while we run; its time stamp keeps answers of the old one apart.
    return _listing(provider, model, data_snapshot.get_snapshot().timestamp)


@lru_cache(maxsize=4096)
def _listing(provider: str, model: str, stamp: datetime) -> Listing | None:
    from genai_prices import data_snapshot, types

    try:
        _, info = data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    if isinstance(info.prices, types.ModelPrice):
        return Listing(((None, _tariff(info.prices)),))
    tariffs = tuple((entry.constraint, _tariff(entry.prices)) for entry in info.prices)
    return Listing(tariffs) if tariffs else None


def _tariff(price: Any) -> Tariff:
    def rate(name: str) -> Rate | None:
        value = getattr(price, name)
        if value is None:
            return None
        if isinstance(value, Decimal):
            return Rate(value.scaleb(_MILLION))
        cliffs = tuple((tier.start, tier.price.scaleb(_MILLION)) for tier in reversed(value.tiers))
        return Rate(value.base.scaleb(_MILLION), cliffs)

    fee = price.requests_kcount
    hours = price.input_audio_hours if price.audio_hours is None else price.audio_hours
    characters = price.input_mchars
    return Tariff(
        input=rate("input_mtok"),
        output=rate("output_mtok"),
        cached=rate("cache_read_mtok"),
        cache_write=rate("cache_write_mtok"),
        cache_write_1h=rate("cache_write_1h_mtok"),
        reasoning=rate("output_reasoning_mtok"),
        request=fee.scaleb(_THOUSAND) if isinstance(fee, Decimal) else ZERO,
        input_audio=rate("input_audio_mtok"),
        input_image=rate("input_image_mtok"),
        output_audio=rate("output_audio_mtok"),
        output_image=rate("output_image_mtok"),
        output_video=rate("output_video_mtok"),
        hour=hours if isinstance(hours, Decimal) else None,
        character=characters.scaleb(_MILLION) if isinstance(characters, Decimal) else None,
    )
