"""What callers write, and whom it finds."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.catalog.globs import literals, matches
from mcp_llm.catalog.load import load
from mcp_llm.errors import ConfigError, InvalidInput, UnknownModel, UnknownProvider, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.catalog.find import Catalog


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("anthropic:claude-opus-5-5", "anthropic:claude-opus-5-5"),
        ("anthropic:opus", "anthropic:claude-opus-5-5"),
        ("anthropic:pro", "anthropic:claude-opus-5-5"),
        ("anthropic:2", "anthropic:claude-sonnet-5-5"),
        ("groq:lite", "groq:openai/gpt-oss-20b"),
        ("gemini:flash", "google:gemini-3.8-flash"),
        ("Anthropic:opus", "anthropic:claude-opus-5-5"),
        ("opus", "anthropic:claude-opus-5-5"),
        ("sol", "openai:gpt-6.1-sol"),
        ("gpt-6.1-sol", "openai:gpt-6.1-sol"),
        ("gemini-4-argon", "google:gemini-4-argon"),
        ("claude-opus-7", "anthropic:claude-opus-7"),
        ("o4-mini", "openai:o4-mini"),
        ("gpt-oss-120b", "cerebras:gpt-oss-120b"),
        ("openai/gpt-6.1-terra", "openrouter:openai/gpt-6.1-terra"),
        ("qwen/qwen3.8-27b", "groq:qwen/qwen3.8-27b"),
        ("moonshotai/Kimi-K3.1-Pro", "together:moonshotai/Kimi-K3.1-Pro"),
        ("ollama:qwen3:8b", "ollama:qwen3:8b"),
        (
            "huggingface:deepseek-ai/DeepSeek-V4-Pro-0813:fastest",
            "huggingface:deepseek-ai/DeepSeek-V4-Pro-0813:fastest",
        ),
        ("global.amazon.nova-2-lite-v1:0", "bedrock:global.amazon.nova-2-lite-v1:0"),
        ("nova", "bedrock:global.amazon.nova-2-lite-v1:0"),
        ("accounts/fireworks/models/new-one", "fireworks:accounts/fireworks/models/new-one"),
        ("demo", "demo:demo"),
        ("demo:pro", "demo:demo"),
    ],
)
def test_a_spelling_finds_its_model(catalog: Catalog, written: str, found: str) -> None:
    assert catalog.find(written).name == found


def test_every_target_is_found_again_by_its_name(catalog: Catalog) -> None:
    for name, provider in catalog.providers.items():
        if not provider.retired:
            for model_id, model in provider.models.items():
                operation = model.kind if model.kind in provider.wires else "chat"
                target = catalog.target(name, model_id, operation)
                assert catalog.find(target.name, operation) is target


def test_an_unknown_id_at_a_known_provider_passes_with_a_warning_and_near_misses(catalog: Catalog) -> None:
    target = catalog.find("openai:gpt-6.1-tera")
    assert (target.model_id, target.model) == ("gpt-6.1-tera", None)
    (warning,) = target.warnings
    assert "not in the catalog of openai" in warning
    assert "openai:gpt-6.1-terra" in warning


@pytest.mark.parametrize("written", ["ollama:anything", "openrouter:someone/something", "azure:my-deployment"])
def test_where_the_list_is_not_ours_an_unknown_id_is_no_news(catalog: Catalog, written: str) -> None:
    assert catalog.find(written).warnings == ()


def test_an_unknown_new_member_of_a_family_gets_the_facts_of_the_family(catalog: Catalog) -> None:
    facts = catalog.find("anthropic:claude-sonnet-5-5-20261201").facts
    assert (facts.context, facts.output, facts.forced_tools) == (1_000_000, 128_000, False)


def test_of_an_id_that_nothing_is_known_of_everything_is_none(catalog: Catalog) -> None:
    facts = catalog.facts("vercel", "someone/something")
    assert facts.model_dump(exclude_none=True, exclude={"quirks"}) == {"wire": "openai"}


def test_an_unknown_bare_id_is_an_error_that_names_near_misses(catalog: Catalog) -> None:
    with pytest.raises(UnknownModel, match=r"openai:gpt-6\.1-sol"):
        catalog.find("gpt6.1-sol")
    with pytest.raises(UnknownModel, match="<provider>:zzz"):
        catalog.find("zzz")


def test_an_unknown_provider_is_an_error_that_names_near_misses(catalog: Catalog) -> None:
    with pytest.raises(UnknownProvider, match="Did you mean anthropic"):
        catalog.find("antropic:opus")
    with pytest.raises(UnknownProvider, match="<provider>:llama3:8b"):
        catalog.find("llama3:8b")
    with pytest.raises(UnknownProvider):
        catalog.provider("nobody")


def test_a_tier_that_a_provider_does_not_have_is_an_error(catalog: Catalog) -> None:
    with pytest.raises(UnknownModel, match="it has lite"):
        catalog.find("digitalocean:pro")
    with pytest.raises(UnknownModel, match="known only when it is asked"):
        catalog.find("ollama:pro")


def test_a_retired_provider_says_what_to_use_instead(catalog: Catalog) -> None:
    with pytest.raises(Unsupported, match="shut down on 2026-07-30"):
        catalog.find("github_models:gpt-4o")


def test_a_retired_model_is_a_warning(catalog: Catalog) -> None:
    warnings = catalog.find("deepseek:deepseek-chat").warnings
    assert any("use deepseek-flash" in warning for warning in warnings)


def test_a_model_may_run_elsewhere_though_its_provider_is_local(catalog: Catalog) -> None:
    assert catalog.find("ollama:qwen3:8b").local
    assert not catalog.find("ollama:gpt-oss:120b-cloud").local
    assert not catalog.find("opus").local


def test_borrowed_rules_do_not_say_when_a_model_ends(catalog: Catalog) -> None:
    assert catalog.facts("openai", "gpt-4o").retires == date(2027, 1, 14)
    assert catalog.facts("azure", "gpt-4o").retires is None


def test_the_quirks_of_other_operations_are_their_wires_own(catalog: Catalog) -> None:
    assert catalog.quirks("google", "models").path == "/v1beta/models"
    with pytest.raises(Unsupported, match="no wire for 'tokens'"):
        catalog.quirks("groq", "tokens")
    with pytest.raises(Unsupported):
        catalog.quirks("demo", "models")


def test_the_date_of_retirement_is_told(catalog: Catalog) -> None:
    assert catalog.find("claude-sonnet-4-5").facts.retires == date(2026, 11, 30)


@pytest.mark.parametrize(
    "written", ["", "  ", "a\nb", "openai:gpt\r\nX-Evil: 1", "a\x00", "a\x85b", "x" * 201, "openai:"]
)
def test_what_can_be_no_name_is_refused(catalog: Catalog, written: str) -> None:
    with pytest.raises(InvalidInput):
        catalog.find(written)


@given(st.text(max_size=250))
def test_any_text_is_found_or_refused_with_an_error_of_ours(text: str) -> None:
    shared = load()
    try:
        target = shared.find(text)
    except (ConfigError, InvalidInput):
        return
    assert shared.find(target.name).model_id == target.model_id


def test_the_same_name_gives_the_same_target(catalog: Catalog) -> None:
    assert catalog.find("opus") is catalog.find("opus") is catalog.find("anthropic:claude-opus-5-5")


def test_of_all_providers_of_an_id_the_one_at_home_is_found(catalog: Catalog) -> None:
    assert [catalog.find(name).provider_id for name in ("gpt-6.1-sol", "claude-opus-5-5")] == ["openai", "anthropic"]


def test_later_layers_win_and_tables_are_joined(user: Callable[..., Catalog]) -> None:
    catalog = user(
        acme="""
        base_url = "https://acme.example/v1"
        [quirks.chat]
        top_k = true
        strict = "auto"
        [[rules]]
        match = ["m-*"]
        context = 1000
        can = ["tools"]
        sampling = { temperature = [0, 1] }
        quirks = { strict = "omit" }
        [[rules]]
        match = ["m-2*"]
        context = 2000
        sampling = { top_p = [0, 1] }
        [models.m-2]
        output = 50
        can = ["json"]
        quirks = { think_tags = false }
        """
    )
    target = catalog.find("acme:m-2")
    assert catalog.problems == ()
    assert (target.facts.context, target.facts.output, target.facts.can) == (2000, 50, ("json",))
    assert target.facts.sampling == {"temperature": (0, 1), "top_p": (0, 1)}
    assert (target.quirks.top_k, target.quirks.strict, target.quirks.think_tags) == (True, "omit", False)


def test_quirks_of_one_wire_do_not_reach_the_other(user: Callable[..., Catalog]) -> None:
    catalog = user(
        acme="""
        base_url = "https://acme.example/v1"
        [quirks.chat]
        top_k = true
        [[rules]]
        match = ["c-*"]
        wire = "anthropic"
        base_url = "https://acme.example/anthropic"
        quirks = { media_urls = false }
        """
    )
    assert catalog.problems == ()
    plain, other = catalog.find("acme:m"), catalog.find("acme:c-1")
    assert (plain.wire, plain.quirks.top_k, plain.facts.base_url) == ("openai", True, None)
    assert (other.wire, other.quirks.media_urls) == ("anthropic", False)
    assert other.facts.base_url == "https://acme.example/anthropic"


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a*", "a", True),
        ("a*", "b", False),
        ("*", "", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*b*", "abc", True),
        ("a*b*c", "acb", False),
        ("A*", "a", False),
        ("a?c", "abc", False),
        ("[a]*", "a", False),
        ("a**c", "abc", True),
    ],
)
def test_a_glob_knows_the_star_only(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=4), st.text("ab", max_size=3))
def test_a_glob_matches_what_its_stars_are_filled_with(pieces: list[str], filling: str) -> None:
    assert matches("*".join(pieces), filling.join(pieces))


def test_a_long_glob_takes_no_exponential_time() -> None:
    assert not matches("*a" * 30 + "b", "a" * 5000)
    assert literals("a*b*") == 2


def test_a_provider_alone_means_its_balanced_model() -> None:
    catalog = load()
    assert catalog.find("openai") is catalog.find("openai:balanced")
    with pytest.raises(UnknownModel, match="alibaba is a provider; name one of its models: alibaba:<model>"):
        catalog.find("alibaba")
