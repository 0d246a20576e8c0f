"""Who is asked, rule by rule: names, aliases, tiers, contexts, fallbacks, and what may not leave the machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.catalog import load as catalog
from mcp_llm.errors import ConfigError, Denied, Error, InvalidInput, UnknownModel, UnknownProvider
from mcp_llm.llm.routing import Available, Router
from mcp_llm.settings import Settings

if TYPE_CHECKING:
    from mcp_llm.llm.routing import Plan

TIERS = {"pro": "big", "balanced": "mid", "lite": "small"}
TABLES: dict[str, dict[str, Any]] = {
    "acme": {"base_url": "https://acme.invalid/v1", "tiers": TIERS, "open": False, "models": {"mid": {}}},
    "bolt": {"base_url": "https://bolt.invalid/v1", "tiers": TIERS},
    "coil": {"base_url": "https://coil.invalid/v1", "tiers": {"pro": "huge"}},
    "dyno": {"base_url": "https://dyno.invalid/v1", "tiers": TIERS},
    "here": {"base_url": "http://127.0.0.1:9/v1", "local": True, "rules": [{"match": ["*-cloud"], "remote": True}]},
}
KNOWN = catalog.load(overrides=TABLES)
LOCAL = Available("here", {"pro": "loaded", "balanced": "loaded", "lite": "loaded"}, local=True)
DEMO = Available("demo", local=True)
ALL = [Available("acme"), Available("bolt"), Available("coil"), Available("dyno"), LOCAL, DEMO]


def router(**settings: Any) -> Router:
    return Router(Settings(**settings), KNOWN.find, lambda provider, tier: KNOWN.provider(provider).tiers.get(tier))


def plan(
    model: str | None = None,
    context: str | None = None,
    tier: str | None = None,
    available: list[Available] | None = None,
    **settings: Any,
) -> Plan:
    return router(**settings).plan(model, context, tier, ALL if available is None else available)


def names(found: Plan) -> list[str]:
    return [target.name for target in found.targets]


@pytest.mark.parametrize(
    ("arguments", "settings", "wanted", "because"),
    [
        (("acme:mid",), {}, ["acme:mid"], "asked for"),
        (("bolt:anything/at:all",), {}, ["bolt:anything/at:all"], "asked for"),
        (("acme:pro",), {}, ["acme:big"], "asked for"),
        (("acme:3",), {}, ["acme:small"], "asked for"),
        (("lite",), {}, ["acme:small", "bolt:small", "dyno:small"], "asked for"),
        (("1",), {}, ["acme:big", "bolt:big", "coil:huge"], "asked for"),
        (("flash",), {}, ["acme:mid", "bolt:mid", "dyno:mid"], "asked for"),
        (("auto",), {}, ["acme:mid", "bolt:mid", "dyno:mid"], "asked for"),
        ((), {}, ["acme:mid", "bolt:mid", "dyno:mid"], "default"),
        (("pro",), {"tiers": {"pro": "dyno:special"}}, ["dyno:special"], "asked for"),
        (("pro",), {"tiers": {"pro": "mine"}, "aliases": {"mine": "dyno:x"}}, ["dyno:x"], "asked for"),
        (("mine",), {"aliases": {"mine": "yours", "yours": "acme:lite"}}, ["acme:small"], "asked for"),
        (("AUTO",), {}, ["acme:mid", "bolt:mid", "dyno:mid"], "asked for"),
        (("Pro",), {"tiers": {"pro": "dyno:special"}}, ["dyno:special"], "asked for"),
        (("Pro",), {"aliases": {"Pro": "dyno:x"}}, ["dyno:x"], "asked for"),
        (("here",), {}, ["here:loaded"], "asked for"),
        (("here:pro",), {}, ["here:loaded"], "asked for"),
        (("here:other",), {}, ["here:other"], "asked for"),
        ((), {"default": "bolt:x"}, ["bolt:x"], "default"),
        ((), {"default": "bolt:x", "fallbacks": ["dyno:y", "coil:z"]}, ["bolt:x", "dyno:y", "coil:z"], "default"),
        ((), {"default": "bolt:x", "fallbacks": ["bolt:x", "lite"]}, ["bolt:x", "acme:small"], "default"),
        (("acme:mid",), {"fallbacks": ["dyno:y"]}, ["acme:mid"], "asked for"),
        ((None, None, "lite"), {"default": "bolt:x"}, ["acme:small", "bolt:small", "dyno:small"], "declared tier"),
        ((None, None, "bolt:own"), {}, ["bolt:own"], "declared tier"),
        ((None, "notes"), {"contexts": {"notes": "bolt:n"}}, ["bolt:n"], "context notes"),
        ((None, "notes", "lite"), {"contexts": {"notes": "bolt:n"}}, ["bolt:n"], "context notes"),
        (("acme:mid", "notes"), {"contexts": {"notes": "bolt:n"}}, ["acme:mid"], "asked for"),
        ((None, "notes.a"), {"contexts": {"notes.*": "bolt:g", "notes.a": "bolt:e"}}, ["bolt:e"], "context notes.a"),
        (
            (None, "notes.ab"),
            {"contexts": {"*": "bolt:x1", "notes.*": "bolt:x2", "notes.a*": "bolt:x3"}},
            ["bolt:x3"],
            None,
        ),
        ((None, "notes.ab"), {"contexts": {"*": "bolt:x1", "*.ab": "bolt:x2", "n*b": "bolt:x3"}}, ["bolt:x2"], None),
        ((None, "other"), {"contexts": {"notes": "bolt:n"}, "default": "dyno:d"}, ["dyno:d"], "default"),
        ((None, "Notes"), {"contexts": {"notes": "bolt:n"}, "default": "dyno:d"}, ["dyno:d"], "default"),
        (
            (None, "notes"),
            {"contexts": {"notes": {"model": "bolt:n", "fallbacks": ["coil:f"]}}, "fallbacks": ["dyno:y"]},
            ["bolt:n", "coil:f"],
            "context notes",
        ),
        ((None, "notes"), {"contexts": {"notes": {"local_only": True, "model": "here:x"}}}, ["here:x"], None),
        (
            (None, "n"),
            {"contexts": {"n": {"local_only": True, "model": "bolt:x", "fallbacks": ["here:y"]}}},
            ["here:y"],
            None,
        ),
    ],
)
def test_a_rule_decides_who_is_asked(
    arguments: tuple[Any, ...], settings: dict[str, Any], wanted: list[str], because: str | None
) -> None:
    found = plan(*arguments, **settings)
    assert names(found) == wanted
    assert because in (None, found.because)


@pytest.mark.parametrize(
    ("model", "settings", "error", "words"),
    [
        ("a", {"aliases": {"a": "b", "b": "a"}}, ConfigError, "leads in a circle"),
        ("", {"default": ""}, InvalidInput, "empty"),
        ("nobody:m", {}, UnknownProvider, "no provider is called 'nobody'"),
        ("acmee:m", {}, UnknownProvider, "Did you mean acme?"),
        ("no-such-model", {}, UnknownModel, "no provider is known for the model"),
        ("coil:lite", {}, UnknownModel, "coil has no 'lite' model; it has pro"),
        ("acme:m\r\nX-Evil: 1", {}, InvalidInput, "control character"),
        ("acme:" + "m" * 500, {}, InvalidInput, "505 characters"),
    ],
)
def test_a_name_that_means_nobody_is_told_with_near_misses(
    model: str, settings: dict[str, Any], error: type[Error], words: str
) -> None:
    with pytest.raises(error) as caught:
        plan(model, **settings)
    assert words in str(caught.value)


def test_auto_takes_whoever_can_be_asked_and_demo_only_when_alone() -> None:
    assert names(plan("auto", available=[LOCAL, DEMO])) == ["here:loaded"]
    assert names(plan("auto", available=[Available("coil"), DEMO]))[0].startswith("demo:")
    assert names(plan("auto", available=[DEMO]))[0].startswith("demo:")
    with pytest.raises(UnknownModel, match="no provider that can be asked has a balanced model"):
        plan("auto", available=[Available("coil")])


@pytest.mark.parametrize("model", ["bolt:x", "auto", "here:big-cloud"])
def test_what_has_to_stay_here_is_never_sent_elsewhere(model: str) -> None:
    contexts = {"private": {"local_only": True}}
    available = [one for one in ALL if not one.local]
    with pytest.raises(Denied) as caught:
        plan(model, "private", available=available, contexts=contexts)
    assert "context 'private' is local_only" in str(caught.value)


def test_what_has_to_stay_here_finds_a_server_on_this_machine() -> None:
    found = plan("here:x", "private", contexts={"private": {"local_only": True}})
    assert (names(found), found.local_only) == (["here:x"], True)


def test_a_model_that_is_in_no_list_is_sent_as_it_is_with_a_warning() -> None:
    found = plan("acme:midd")
    assert names(found) == ["acme:midd"]
    assert "'midd' is not in the catalog of acme; it is sent as it is. Did you mean acme:mid?" in found.warnings


@pytest.mark.parametrize(
    ("arguments", "settings", "needed"),
    [
        (("acme:mid", None, None), {}, False),
        (("auto", None, None), {}, True),
        ((None, None, None), {}, True),
        ((None, None, None), {"default": "acme:mid"}, False),
        ((None, None, None), {"default": "acme:mid", "fallbacks": ["lite"]}, True),
        (("pro", None, None), {"tiers": {"pro": "acme:big"}}, False),
        ((None, "notes", None), {"contexts": {"notes": "acme:x"}}, False),
        ((None, None, "lite"), {}, True),
    ],
)
def test_local_servers_are_looked_for_only_where_the_answer_depends_on_it(
    arguments: tuple[str | None, str | None, str | None], settings: dict[str, Any], needed: bool
) -> None:
    assert router(**settings).needs_available(*arguments) is needed


def test_a_context_is_data_however_it_is_spelled() -> None:
    contexts = {f"{'*a' * 50}*b": "bolt:slow", "*[": "bolt:x"}
    started = time.perf_counter()
    for context in ("*[" * 32_768, "a" * 65_536, '\n{"ts":0,"cost":-100}\n'):
        assert names(plan(None, context, contexts=contexts, default="dyno:d")) in (["dyno:d"], ["bolt:x"])
    assert time.perf_counter() - started < 0.25


@pytest.mark.parametrize(
    ("model", "settings", "wanted"),
    [
        (None, {"contexts": {"notes": "bolt:n"}, "fallbacks": ["auto"]}, True),
        (None, {"contexts": {"notes": "bolt:n"}, "fallbacks": ["bolt:x"]}, False),
        ("acme:mid", {"fallbacks": ["auto"]}, False),
        ("acme:mid", {"fallbacks": ["nobody:x"]}, False),
    ],
)
def test_whoever_decides_is_given_who_can_be_asked_where_a_fallback_that_holds_needs_it(
    model: str | None, settings: dict[str, Any], wanted: bool
) -> None:
    assert router(**settings).needs_available(model, "notes", None) is wanted
