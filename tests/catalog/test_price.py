"""Who is believed about a price, and that the fast figure is the very figure of the price list."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import genai_prices
import pytest
from genai_prices import data_snapshot
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.catalog import tariff
from mcp_llm.catalog.price import Cost, most, piece, quote, rates, user_rates, worst_case
from mcp_llm.errors import ConfigError
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.catalog.find import Catalog

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
MILLION = Usage(input=1_000_000, output=1_000_000)
SMALL = Usage(input=100_000, output=100_000)


def test_what_the_provider_reported_is_believed_first(catalog: Catalog) -> None:
    usage = Usage(input=10, output=10, usd=Decimal("0.42"))
    own = user_rates({"openai:gpt-6.1-sol": {"input": 1, "output": 1}})
    cost = quote(catalog.find("sol"), usage, at=AT, overrides=own)
    assert cost == Cost(Decimal("0.42"), "provider", date(2026, 11, 20))


def test_the_users_rate_beats_every_list(catalog: Catalog) -> None:
    own = user_rates({"openai:gpt-6.1-sol": {"input": 7, "output": "11.5"}, "demo:demo": {"input": 1, "output": 0}})
    assert quote(catalog.find("sol"), MILLION, at=AT, overrides=own) == Cost(Decimal("18.5"), "user")
    assert quote(catalog.find("demo"), MILLION, at=AT, overrides=own) == Cost(Decimal(1), "user")


def test_the_price_list_beats_the_catalog(user: Callable[..., Catalog]) -> None:
    catalog = user(
        openai="""
        [models."gpt-6.1-sol"]
        price = { input = 99, output = 99, source = "x", checked = 2026-01-01 }
        """
    )
    cost = quote(catalog.find("sol"), SMALL, at=AT)
    assert (cost.usd, cost.source) == (Decimal("1.2"), "genai-prices")


def test_what_the_list_lacks_is_priced_by_the_catalog_until_it_expires(catalog: Catalog) -> None:
    hydrogen = catalog.find("hydrogen")
    assert quote(hydrogen, MILLION, at=AT) == Cost(Decimal(9), "catalog", date(2026, 11, 20))
    late = quote(hydrogen, MILLION, at=datetime(2027, 2, 1, tzinfo=UTC))
    assert (late.usd, late.source) == (None, None)
    assert late.note is not None
    assert "ended on 2027-01-31" in late.note


def test_an_announced_change_of_price_happens_on_its_day(catalog: Catalog) -> None:
    carbon = catalog.find("carbon")
    assert quote(carbon, MILLION, at=datetime(2026, 11, 30, 23, 59, tzinfo=UTC)).usd == 12
    assert quote(carbon, MILLION, at=datetime(2026, 12, 1, tzinfo=UTC)).usd == 24
    argon = catalog.find("argon")
    assert quote(argon, MILLION, at=AT).usd == 12
    assert quote(argon, MILLION, at=datetime(2026, 12, 1, tzinfo=UTC)) == Cost(
        Decimal(24), "genai-prices", date(2026, 12, 1)
    )


def test_peak_hours_cost_more_where_the_list_says_so(catalog: Catalog) -> None:
    flash = catalog.find("deepseek:balanced")
    assert quote(flash, MILLION, at=AT).usd == Decimal("0.75")
    assert quote(flash, MILLION, at=AT.replace(hour=2)).usd == Decimal("1.5")


def test_long_inputs_fall_off_the_cliff_whole(catalog: Catalog) -> None:
    sol = catalog.find("sol")
    assert quote(sol, Usage(input=272_000, output=0), at=AT).usd == Decimal("0.544")
    assert quote(sol, Usage(input=272_001, output=0), at=AT).usd == Decimal("1.088004")


def test_an_unknown_price_is_none_with_a_reason(catalog: Catalog) -> None:
    for name in ("openai:gpt-99", "cohere:pro", "nvidia:pro", "huggingface:lite", "digitalocean:lite"):
        target = catalog.find(name)
        cost = quote(target, MILLION, at=AT)
        assert cost == Cost(None, note=f"no price is known for {target.name}; set one under [prices] in the settings")
        assert worst_case(target, 10, 10, AT) is None
        assert rates(target, AT) is None


def test_unknown_counts_have_no_price(catalog: Catalog) -> None:
    sol = catalog.find("sol")
    for usage in (Usage(), Usage(input=5), Usage(output=5)):
        assert quote(sol, usage, at=AT).usd is None


def test_models_on_this_machine_are_free_and_only_they(catalog: Catalog) -> None:
    for name in ("demo", "ollama:x", "lmstudio:x", "vllm:x", "llamacpp:x"):
        assert quote(catalog.find(name), MILLION, at=AT) == Cost(Decimal(0), "local")
        assert worst_case(catalog.find(name), 10, None, AT) == 0
    assert quote(catalog.find("ollama_cloud:x"), MILLION, at=AT).usd is None
    assert quote(catalog.find("ollama:gpt-oss:120b-cloud"), MILLION, at=AT).usd is None
    # A list that carries zeros does not know.
    assert quote(catalog.find("openrouter:deepseek/deepseek-chat:free"), MILLION, at=AT).usd is None


def test_tokens_we_counted_ourselves_are_said_to_be_that(catalog: Catalog) -> None:
    cost = quote(catalog.find("sol"), Usage(input=1, output=1, estimated=True), at=AT)
    assert cost.note == "from tokens that were counted here"


def test_a_moment_without_a_zone_is_utc(catalog: Catalog) -> None:
    assert quote(catalog.find("carbon"), MILLION, at=datetime(2026, 12, 1)).usd == 24


def test_rates_are_plain_numbers_for_people(catalog: Catalog) -> None:
    assert rates(catalog.find("sol"), AT) == (Decimal(2), Decimal(10), Decimal("0.1"))
    assert [str(rate) for rate in rates(catalog.find("sol"), AT) or ()] == ["2", "10", "0.1"]


def test_the_worst_case_is_never_below_what_a_call_costs(catalog: Catalog) -> None:
    for name in ("opus", "sol", "haiku", "argon", "carbon", "groq:pro", "grok-4.7", "deepseek:pro", "perplexity:pro"):
        target = catalog.find(name)
        for size in (0, 1000, 150_000, 300_000):
            worst = worst_case(target, size, 5000, AT)
            assert worst is not None
            for cached, written in ((0, 0), (size, 0), (0, size)):
                usage = Usage(input=size, output=5000, cached=cached, cache_write=written, reasoning=4000)
                cost = quote(target, usage, at=AT).usd
                assert cost is not None
                assert cost <= worst


@pytest.mark.parametrize(
    ("kind", "usage"),
    [
        ("audio", Usage(input=1000, output=100, input_audio=1000)),
        ("image", Usage(input=1000, output=100, input_image=1000)),
        ("long cache", Usage(input=1000, output=100, cache_write_1h=1000)),
        (None, Usage(input=1000, output=100, cached=1000)),
        (None, Usage(input=1000, output=100, cache_write=1000)),
        (None, Usage(input=1000, output=100, output_audio=100)),
        (None, Usage(input=1000, output=100, output_image=100)),
        (None, Usage(input=1000, output=100, output_video=100)),
        (None, Usage(input=1000, output=100, reasoning=100)),
        (None, Usage(input=500, output=100)),
    ],
)
def test_the_worst_case_is_that_of_every_rate_that_a_request_can_cause(kind: str | None, usage: Usage) -> None:
    plain = tariff.Rate(Decimal(1), ((600, Decimal("0.5")),))  # long requests may be the cheaper ones

    def rate(name: str) -> tariff.Rate:
        return tariff.Rate(Decimal(50)) if getattr(usage, name) else plain

    names = ("cached", "cache_write", "cache_write_1h", "reasoning", "input_audio", "input_image")
    outs = ("output_audio", "output_image", "output_video")
    rates: dict[str, Any] = {name: rate(name) for name in (*names, *outs)}
    bill = tariff.Tariff(input=plain, output=plain, **rates)
    kinds = set() if kind is None else {kind}
    cost, worst = bill.cost(usage), bill.worst(1000, 100, kinds)
    assert cost is not None
    assert worst is not None
    assert cost <= worst
    if kind is not None:  # what is not in it does not make it dearer
        assert bill.worst(1000, 100, ()) == 1100


def test_the_worst_case_of_an_open_end_is_the_models_limit(catalog: Catalog) -> None:
    opus = catalog.find("opus")
    assert worst_case(opus, 0, None, AT) == Decimal("0.00002") * 128_000
    sonar = catalog.find("sonar")
    assert worst_case(sonar, 10, None, AT) is None


def test_the_worst_case_looks_beyond_the_next_change(catalog: Catalog) -> None:
    carbon = catalog.find("carbon")
    before = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    assert worst_case(carbon, 1_000_000, 0, before) == 4
    assert worst_case(carbon, 1_000_000, 0, before.replace(hour=10)) == 2


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        ({"gpt-6.1-sol": {"input": 1, "output": 1}}, "names no provider"),
        ({"openai:x": {"input": 1}}, r"prices\.openai:x: `output`"),
        ({"openai:x": {"input": -1, "output": 1}}, "`input`"),
        ({"openai:x": {"input": 1, "output": 1, "in": 1}}, "`in`"),
    ],
)
def test_a_wrong_rate_of_the_users_is_an_error_that_names_it(prices: dict[str, dict[str, int]], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        user_rates(prices)


def test_cliffs_and_caches_of_our_own_rates() -> None:
    own = user_rates(
        {"a:b": {"input": 1, "output": 2, "cached": "0.5", "above": 100, "input_above": 10, "output_above": 20}}
    )["a:b"]
    bill = tariff.from_rates(own)
    assert bill.cost(Usage(input=100, output=1, cached=50)) == Decimal("0.000077")
    assert bill.cost(Usage(input=101, output=1, cached=1)) == Decimal("0.0010205")
    assert bill.cost(Usage(input=100, output=0, cache_write=100)) == Decimal("0.0001")


def test_impossible_counts_never_pay_anything_back(catalog: Catalog) -> None:
    cost = quote(catalog.find("opus"), Usage(input=1, output=1, cached=100, cache_write=100, reasoning=50), at=AT)
    assert cost.usd is not None
    assert cost.usd > 0


ENTRIES = [
    (provider.id, model)
    for provider in data_snapshot.get_snapshot().providers
    for model in provider.models
    if provider.id
    in {"openai", "anthropic", "google", "x-ai", "deepseek", "perplexity", "mistral", "openrouter", "aws"}
]


@given(
    st.sampled_from(range(len(ENTRIES))),
    st.integers(0, 400_000),
    st.integers(0, 100_000),
    st.tuples(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 1), st.floats(0, 1)),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1), timezones=st.just(UTC)),
)
def test_the_figure_is_that_of_the_price_list(
    number: int, size: int, output: int, shares: tuple[float, float, float, float], at: datetime
) -> None:
    provider_id, model = ENTRIES[number]
    cached, write = int(size * shares[0]), int(size * shares[1])
    usage = Usage(
        input=size,
        output=output,
        cached=cached,
        cache_write=write,
        cache_write_1h=int(write * shares[2]),
        reasoning=int(output * shares[3]),
    )
    listing = tariff.listing(provider_id, model.id)
    if listing is None:
        return
    bill, _ = listing.at(at)
    if bill.input is None or bill.output is None:
        return
    theirs = genai_prices.Usage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cached,
        cache_write_tokens=usage.cache_write,
        cache_write_1h_tokens=usage.cache_write_1h,
        output_reasoning_tokens=usage.reasoning,
    )
    price = genai_prices.calc_price(theirs, model.id, provider_id=provider_id, genai_request_timestamp=at)
    assert bill.cost(usage) == price.total_price


def test_an_id_of_another_spelling_is_looked_up_by_its_reference(catalog: Catalog) -> None:
    target = catalog.find("cohere:balanced")
    assert quote(target, MILLION, at=AT).usd == Decimal("12.5")
    assert target.model is not None
    bare = replace(target, model=target.model.model_copy(update={"price_ref": "no-such-model"}))
    assert quote(bare, MILLION, at=AT).usd is None


PIECES = [
    ("openai:gpt-transcribe", "transcribe", Usage(seconds=1800), "0.135", (Decimal("0.27"), "hour")),
    ("groq:whisper-large-v3-turbo", "transcribe", Usage(seconds=900), "0.01", (Decimal("0.04"), "hour")),
    ("xai:grok-imagine-video-1.5", "video", Usage(seconds=6), "0.84", (Decimal("0.14"), "second")),
    ("mistral:voxtral-mini-tts-3", "speech", Usage(characters=1_000_000), "13", (Decimal(13), "million characters")),
    ("openai:text-embedding-3-small", "embed", Usage(input=1_000_000, output=0), "0.02", None),
    (
        "google:gemini-nano-banana-2.1",
        "image",
        Usage(input=0, output=1_000_100, output_image=1_000_000),
        "30.00075",
        None,
    ),
    ("openai:gpt-image-2.5-sunburst", "image", Usage(input=1_000_000, output=0, input_image=1_000_000), "8", None),
]


@pytest.mark.parametrize(("name", "operation", "usage", "usd", "shown"), PIECES)
def test_each_operation_is_priced_in_its_own_units(
    catalog: Catalog, name: str, operation: str, usage: Usage, usd: str, shown: tuple[Decimal, str] | None
) -> None:
    target = catalog.find(name, operation)
    assert quote(target, usage, at=AT).usd == Decimal(usd)
    assert piece(target, AT) == shown
    assert most(target, usage, AT) == Decimal(usd)


def test_what_is_not_known_of_a_recording_is_no_price(catalog: Catalog) -> None:
    target = catalog.find("openai:gpt-transcribe", "transcribe")
    cost = quote(target, Usage(), at=AT)
    assert (cost.usd, cost.note) == (None, "the provider did not report what it counted, so the price is not known")
    assert most(target, Usage(), AT) is None


def test_a_short_recording_is_billed_as_a_longer_one_where_the_vendor_does(catalog: Catalog) -> None:
    target = catalog.find("groq:whisper-large-v3-turbo", "transcribe")
    assert quote(target, Usage(seconds=1), at=AT).usd == quote(target, Usage(seconds=10), at=AT).usd
