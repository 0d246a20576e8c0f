"""What a call cost, from the best source there is: the provider's word, the user's, genai-prices, the catalog, nobody.

Unknown is None, never 0; only models on this machine are free. Pure: the moment is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mcp_llm.errors import ConfigError

from . import tariff as tariffs
from .tariff import Tariff

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date, datetime

    from mcp_llm.types.usage import Usage

    from .find import Target
    from .schema import Rates

Source: TypeAlias = Literal["provider", "user", "genai-prices", "catalog", "local"]
NONE: Final[Mapping[str, Rates]] = MappingProxyType({})
HORIZON: Final = timedelta(hours=1)
"""How far a call may reach into another price's hours; a reservation takes the dearer of the two."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars, or None with the reason in `note`. `priced_at` is the date of the price where its source has one."""

    usd: Decimal | None
    source: Source | None = None
    priced_at: date | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _Offer:
    tariff: Tariff
    source: Source
    priced_at: date | None = None


def quote(target: Target, usage: Usage, *, at: datetime, overrides: Mapping[str, Rates] = NONE) -> Cost:
    """The cost of one call. `overrides` are the user's rates by `provider:model` (see `user_rates`)."""
    if usage.usd is not None:
        return Cost(usage.usd, "provider", at.date())
    offer = _offer(target, at, overrides)
    if offer is None:
        return Cost(None, note=_why(target))
    if offer.source == "local":
        return Cost(tariffs.ZERO, "local")
    least = target.facts.least_seconds
    if least is not None and usage.seconds:
        usage = usage.model_copy(update={"seconds": max(usage.seconds, least)})
    usd = offer.tariff.cost(usage)
    if usd is None:
        return Cost(None, note="the provider did not report what it counted, so the price is not known")
    return Cost(usd, offer.source, offer.priced_at, "from tokens that were counted here" if usage.estimated else None)


def worst_case(
    target: Target,
    input_tokens: int,
    max_output: int | None,
    at: datetime,
    *,
    kinds: Collection[str] = tariffs.KINDS,
    overrides: Mapping[str, Rates] = NONE,
) -> Decimal | None:
    """The most a call can cost, to be reserved before it. `max_output` None is the model's own limit.

    `kinds` is what the request holds of what has a rate of its own (`tariff.KINDS`). None when the price or the limit
    is unknown.
    """
    longest = target.facts.output if max_output is None else max_output
    costs: list[Decimal] = []
    for when in (at, at + HORIZON):
        offer = _offer(target, when, overrides)
        if offer is not None and offer.source == "local":
            return tariffs.ZERO
        if offer is None or longest is None or (cost := offer.tariff.worst(input_tokens, longest, kinds)) is None:
            # An entry that ends within the hour still holds now; one that is missing now is missing.
            if when is at:
                return None
            continue
        costs.append(cost)
    return max(costs)


def most(target: Target, worst: Usage, at: datetime, *, overrides: Mapping[str, Rates] = NONE) -> Decimal | None:
    """The most that a call of this usage can cost, to be reserved before it; None when the price is unknown."""
    quotes = [quote(target, worst, at=when, overrides=overrides).usd for when in (at, at + HORIZON)]
    return None if quotes[0] is None else max(usd for usd in quotes if usd is not None)


def rates(
    target: Target, at: datetime, *, overrides: Mapping[str, Rates] = NONE
) -> tuple[Decimal, Decimal | None, Decimal | None] | None:
    """(input, output, cached) in dollars per million tokens for a short request, for display; None when unknown."""
    offer = _offer(target, at, overrides)
    if offer is None or offer.tariff.input is None:
        return None
    found = (offer.tariff.input, offer.tariff.output, offer.tariff.cached)
    plain, output, cached = (None if rate is None else _plain(rate.base.scaleb(6)) for rate in found)
    return None if plain is None else (plain, output, cached)


def piece(target: Target, at: datetime, *, overrides: Mapping[str, Rates] = NONE) -> tuple[Decimal, str] | None:
    """(dollars, `image`, `second`, `hour` or `million characters`) of a model paid by the piece, for display."""
    offer = _offer(target, at, overrides)
    if offer is None:
        return None
    tariff = offer.tariff
    if tariff.image is not None:
        return _plain(tariff.image), "image"
    if tariff.second is not None:
        return _plain(tariff.second), "second"
    if tariff.hour is not None:
        return _plain(tariff.hour), "hour"
    return None if tariff.character is None else (_plain(tariff.character.scaleb(6)), "million characters")


def source(target: Target, at: datetime, *, overrides: Mapping[str, Rates] = NONE) -> tuple[Source, date | None] | None:
    """Whose price `rates` shows, and its date; None when nobody has one."""
    offer = _offer(target, at, overrides)
    return None if offer is None else (offer.source, offer.priced_at)


def user_rates(prices: Mapping[str, Mapping[str, Any]]) -> dict[str, Rates]:
    """The settings' `[prices]` checked: `"provider:model" = { input = 1.0, output = 2.0 }`. Raises ConfigError."""
    if not prices:  # as nearly always: what would check them is not loaded
        return {}
    from pydantic import ValidationError

    from .schema import Rates

    checked: dict[str, Rates] = {}
    for name, table in prices.items():
        if ":" not in name:
            raise ConfigError(f'prices: {name!r} names no provider; write "<provider>:{name}"')
        try:
            checked[name] = Rates.model_validate(dict(table))
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False)[0]
            place = "".join(f"`{item}`: " for item in first["loc"])
            raise ConfigError(
                f"prices.{name}: {place}{first['msg'].removeprefix('Value error, ')}. Give `input` and `output` in "
                "dollars per million tokens, or a unit such as `image` or `hour`."
            ) from None
    return checked


def _offer(target: Target, at: datetime, overrides: Mapping[str, Rates]) -> _Offer | None:
    """The first source that knows a price for that moment."""
    if overrides and (own := overrides.get(target.name)) is not None:
        return _Offer(tariffs.from_rates(own), "user")
    provider, model = target.provider, target.model
    if target.local:
        return _Offer(_FREE, "local")
    if provider.prices is not None:
        reference = model.price_ref if model is not None and model.price_ref is not None else target.model_id
        if (listing := tariffs.listing(provider.prices, reference)) is not None:
            found, since = listing.at(at)
            if not found.free and (found.input or found.hour or found.character):
                return _Offer(found, "genai-prices", since)
    for price in (model.price, model.price_later) if model is not None else ():
        if price is not None and (price.expires is None or _day(at) <= price.expires):
            return _Offer(_own(price), "catalog", price.checked)
    return None


def _why(target: Target) -> str:
    model = target.model
    price = None if model is None else model.price_later or model.price
    if price is not None and price.expires is not None:
        return f"the catalog's price of {target.name} ended on {price.expires.isoformat()} and no newer one is known"
    return f"no price is known for {target.name}; set one under [prices] in the settings"


def _day(at: datetime) -> date:
    return (at.astimezone(UTC) if at.tzinfo is not None else at).date()


def _plain(value: Decimal) -> Decimal:
    """Without exponent and trailing zeros: 10 rather than 1E+1 or 10.00."""
    return value.quantize(Decimal(1)) if value == value.to_integral() else value.normalize()


@lru_cache(maxsize=256)
def _own(price: Rates) -> Tariff:
    return tariffs.from_rates(price)


_FREE: Final = Tariff(tariffs.Rate(tariffs.ZERO), tariffs.Rate(tariffs.ZERO))
