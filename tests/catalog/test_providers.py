"""Every provider file of the package: its shape, its wires, its quirks, its tiers, its prices."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from mcp_llm.catalog.address import base_url
from mcp_llm.catalog.find import check, check_quirks
from mcp_llm.catalog.price import quote
from mcp_llm.catalog.source import CODE_WIRES, Source, scan
from mcp_llm.types.usage import Usage
from mcp_llm.wires import failures

if TYPE_CHECKING:
    from mcp_llm.catalog.find import Catalog

FOLDER = files("mcp_llm.catalog").joinpath("providers")
IDS = sorted(entry.name.removesuffix(".toml") for entry in FOLDER.iterdir() if entry.name.endswith(".toml"))
UNPRICED = {"cohere:command-a-plus-05-2026"}
"""Tier models of priced providers whose price nobody knows."""

each_provider = pytest.mark.parametrize("provider_id", IDS)


def test_at_least_28_providers_come_with_the_package() -> None:
    assert len(IDS) >= 28
    assert {"anthropic", "openai", "google", "openrouter", "ollama", "github_models", "demo"} <= set(IDS)


@each_provider
def test_its_wires_exist(catalog: Catalog, provider_id: str) -> None:
    provider = catalog.provider(provider_id)
    for operation, wire in provider.wires.items():
        assert wire in CODE_WIRES or wire in import_module(f"mcp_llm.wires.{operation}").WIRES


@each_provider
def test_its_quirks_are_those_of_its_wires(catalog: Catalog, provider_id: str) -> None:
    check_quirks(catalog.provider(provider_id), provider_id)


@each_provider
def test_every_model_it_names_can_be_found(catalog: Catalog, provider_id: str) -> None:
    provider = catalog.provider(provider_id)
    if provider.retired:
        return
    for model_id, model in provider.models.items():
        target = catalog.find(f"{provider_id}:{model_id}", model.kind if model.kind in provider.wires else "chat")
        assert (target.provider_id, target.model_id, target.model) == (provider_id, model_id, model)
        assert target.warnings == ()
        assert target.facts.can is not None, f"{target.name} can do what?"


@each_provider
def test_its_tiers_and_aliases_name_models_of_its_own(catalog: Catalog, provider_id: str) -> None:
    provider = catalog.provider(provider_id)
    assert set(provider.tiers.values()) <= set(provider.models)
    assert set(provider.aliases.values()) <= set(provider.models)
    assert not set(provider.aliases) & set(provider.models)


@each_provider
def test_its_defaults_are_models_of_that_operation_with_a_wire_for_it(catalog: Catalog, provider_id: str) -> None:
    provider = catalog.provider(provider_id)
    for operation, model_id in provider.defaults.items():
        assert provider.models[model_id].kind == operation or provider_id == "demo"
        assert catalog.find(provider_id, operation).model_id == model_id


@each_provider
def test_its_chat_models_state_their_limits(catalog: Catalog, provider_id: str) -> None:
    provider = catalog.provider(provider_id)
    for model_id in provider.tiers.values():
        facts = catalog.facts(provider_id, model_id)
        assert facts.context is not None
        assert facts.output is None or facts.output <= facts.context or provider_id == "google"


@each_provider
def test_the_index_by_lines_is_the_index_by_parsing(provider_id: str) -> None:
    source = Source(provider_id, FOLDER.joinpath(f"{provider_id}.toml"))
    provider = source.provider
    index = scan(source.text)
    assert (index.names, index.prefixes, index.models) == (provider.names, provider.prefixes, tuple(provider.models))
    own = {alias: name for name, model in provider.models.items() for alias in model.aliases}
    assert index.aliases == {**own, **provider.aliases}


@each_provider
def test_its_error_codes_are_kinds_of_errors(catalog: Catalog, provider_id: str) -> None:
    assert set(catalog.provider(provider_id).error_codes.values()) <= set(failures.KINDS)


@each_provider
def test_its_key_travels_in_a_header_only_where_it_has_one(catalog: Catalog, provider_id: str) -> None:
    auth = catalog.provider(provider_id).auth
    if auth.required:
        assert auth.env
        assert any("{key}" in value for value in auth.headers.values())
    assert auth.url is None or auth.url.startswith("https://")


@each_provider
def test_its_address_is_complete_once_its_variables_are_set(catalog: Catalog, provider_id: str) -> None:
    provider = catalog.provider(provider_id)
    given = {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/", "GOOGLE_CLOUD_PROJECT": "my-project"}
    for url in {None, *(rule.base_url for rule in provider.rules)}:
        address = base_url(provider_id, provider, url, given.get)
        assert "{" not in address
        assert not address.endswith("/") or address.endswith("://")


def test_names_of_providers_belong_to_one_provider_each(catalog: Catalog) -> None:
    names = [name for name, provider in catalog.providers.items() for name in (name, *provider.names)]
    assert sorted(names) == sorted(set(names))


def test_aliases_belong_to_one_provider_each(catalog: Catalog) -> None:
    aliases = [
        alias
        for provider in catalog.providers.values()
        for alias in (*provider.aliases, *(alias for model in provider.models.values() for alias in model.aliases))
    ]
    assert sorted(aliases) == sorted(set(aliases))


@each_provider
def test_its_tier_models_have_a_price_where_it_has_prices(catalog: Catalog, provider_id: str) -> None:
    """By today's date: an override that has run out, or an id that the price list does not know, shows here."""
    provider = catalog.provider(provider_id)
    if provider.prices is None:
        return
    for model_id in set(provider.tiers.values()):
        target = catalog.target(provider_id, model_id)
        cost = quote(target, Usage(input=1000, output=100), at=datetime.now(UTC))
        assert (cost.usd is not None) == (target.name not in UNPRICED), cost.note


def test_a_price_of_ours_is_dated_and_ends(catalog: Catalog) -> None:
    for provider in catalog.providers.values():
        for model in provider.models.values():
            for price in (model.price, model.price_later):
                assert price is None or (price.expires is not None and price.checked < price.expires)


def test_claude_keeps_its_manners_on_every_road_that_speaks_its_wire(catalog: Catalog) -> None:
    roads = [
        "anthropic:claude-opus-5-5",
        "bedrock:global.anthropic.claude-opus-5-5",
        "vertex:claude-opus-5-5",
    ]
    for road in roads:
        target = catalog.find(road)
        assert target.wire == "anthropic"
        assert (target.quirks.thinking_off, target.quirks.forced_tools) == (None, False)
        assert (target.facts.forced_tools, target.facts.context) == (False, 1_000_000)
        assert target.facts.refuses is not None
        assert {"temperature", "top_p", "top_k"} <= set(target.facts.refuses)


@pytest.mark.parametrize(
    ("model", "off", "forced", "efforts"),
    [
        ("claude-fable-5-2", None, False, ("low", "medium", "high", "xhigh", "max")),
        ("claude-fable-5", None, True, ("low", "medium", "high", "xhigh", "max")),
        ("claude-opus-5", "disabled", True, ("none", "low", "medium", "high", "xhigh", "max")),
        ("claude-opus-5-20260301", "disabled", True, ("none", "low", "medium", "high", "xhigh", "max")),
        ("claude-opus-5-5-20261001", None, False, ("low", "medium", "high", "xhigh", "max")),
        ("claude-sonnet-5-5", "between_tools", False, ("none", "low", "medium", "high", "xhigh", "max")),
        ("claude-haiku-5-5", "disabled", True, ("none", "low", "medium", "high", "xhigh", "max")),
        ("claude-opus-4-8", "disabled", True, ("none", "low", "medium", "high", "xhigh", "max")),
        ("claude-opus-9", None, False, ("low", "medium", "high", "xhigh", "max")),
    ],
)
def test_claude_families_differ_in_how_thinking_and_tools_go_together(
    catalog: Catalog, model: str, off: str | None, forced: bool, efforts: tuple[str, ...]
) -> None:
    target = catalog.target("anthropic", model)
    assert (target.quirks.thinking_off, target.quirks.forced_tools, target.facts.forced_tools) == (off, forced, forced)
    assert target.facts.efforts == efforts


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("gpt-6.1-sol", ("low", "medium", "high", "xhigh", "max")),
        ("gpt-6.1-sol-2026-09-29", ("low", "medium", "high", "xhigh", "max")),
        ("gpt-6.1-terra", ("none", "low", "medium", "high", "xhigh", "max")),
        ("gpt-5.5", ("none", "low", "medium", "high", "xhigh")),
        ("gpt-5.1", ("none", "low", "medium", "high")),
        ("gpt-5-mini", ("minimal", "low", "medium", "high")),
        ("gpt-5-pro", ("high",)),
        ("gpt-5.2-pro", ("medium", "high", "xhigh")),
        ("o3", ("low", "medium", "high")),
        ("gpt-4o", None),
    ],
)
def test_effort_steps_follow_the_family(catalog: Catalog, model: str, efforts: tuple[str, ...] | None) -> None:
    assert catalog.facts("openai", model).efforts == efforts
    assert catalog.facts("azure", model).efforts == efforts


def test_a_null_in_a_file_is_none_in_the_quirks() -> None:
    assert check("openai", {"effort_field": "null"}, "x").effort_field is None
