"""The settings page's side of the server: what it shows, what it writes, and what it never says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.config import own
from mcp_llm.errors import ConfigError, InvalidInput
from mcp_llm.server.pages import settings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
KEY = "gsk-" + "k7" * 20


@pytest.fixture(autouse=True)
def _bare(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_LLM_DISCOVER", "0")


async def provider(name: str) -> dict[str, Any]:
    return next(one for one in (await settings.shown())["providers"] if one["id"] == name)


async def test_a_key_is_shown_as_doctor_shows_it_and_nowhere_else(home: Path) -> None:
    await settings.key({"provider": "groq", "name": "GROQ_API_KEY", "value": f"  {KEY}\n"})
    shown = await settings.shown()
    assert KEY not in json.dumps(shown)
    groq = await provider("groq")
    assert (groq["set"], groq["mask"], groq["where"], groq["own"]) == (
        True,
        f"gsk-…{KEY[-4:]}",
        ".env in the config folder",
        True,
    )
    assert (home / ".env").read_text() == f"GROQ_API_KEY={KEY}\n"


async def test_a_key_of_the_environment_wins_and_the_page_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk-" + "e5" * 20)
    saved = await settings.key({"provider": "groq", "name": "GROQ_API_KEY", "value": KEY})
    assert (saved["provider"]["where"], saved["provider"]["own"]) == ("environment", False)


async def test_a_provider_that_needs_an_address_takes_it(home: Path) -> None:
    before = await provider("azure")
    name = before["needs"][0]["name"]
    await settings.key({"provider": "azure", "name": name, "value": "https://mine.example.com"})
    after = await provider("azure")
    assert (before["needs"][0]["value"], after["needs"][0]["value"]) == ("", "https://mine.example.com")


@pytest.mark.parametrize("name", ["PATH", "OPENAI_API_KEY", "MCP_LLM_HOME", "HTTPS_PROXY"])
async def test_no_other_variable_can_be_written(home: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="no variable of groq"):
        await settings.key({"provider": "groq", "name": name, "value": "x"})
    assert not (home / ".env").exists()


async def test_a_form_that_changes_nothing_writes_nothing_new(home: Path) -> None:
    text = '# mine\ndefault = "demo"\n[contexts]\nchat = "lite"\n"n.*" = { model = "x:y", fallbacks = ["a:b"] }\n'
    (home / "mcp_llm.toml").write_text(text)
    shown = (await settings.shown())["own"]
    await settings.saved({**shown, "contexts": shown["contexts"]})
    assert (home / "mcp_llm.toml").read_text() == text


async def test_a_context_keeps_the_fallbacks_that_the_page_does_not_show(home: Path) -> None:
    (home / "mcp_llm.toml").write_text('[contexts]\n"n.*" = { model = "x:y", fallbacks = ["a:b"] }\n')
    await settings.saved({"contexts": [{"name": "n.*", "model": "x:z", "local_only": True}]})
    route = own(home).contexts["n.*"]
    assert (route.model, route.fallbacks, route.local_only) == ("x:z", ("a:b",), True)


async def test_what_is_emptied_is_taken_out(home: Path) -> None:
    (home / "mcp_llm.toml").write_text('default = "demo"\n[budget]\nday_usd = 3\n[contexts]\nchat = "lite"\n')
    await settings.saved({"default": "", "budget": {"day_usd": ""}, "contexts": []})
    assert (own(home).default, own(home).budget.day_usd, own(home).contexts) == ("auto", None, {})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"budget": {"day_usd": -1}}, "budget.day_usd"),
        ({"budget": {"day_usd": "inf"}}, "finite number"),
        ({"budget": {"day_usd": "much"}}, "no number"),
        ({"budget": {"day_calls": 1.5}}, "budget.day_calls"),
        ({"agents": {"turns": 0}}, "agents.turns"),
        ({"default": 7}, "default"),
        ({"prefer": "openai"}, "prefer"),
        ({"contexts": [{"name": "x", "model": ["y"]}]}, "contexts.x"),
    ],
)
async def test_a_form_that_makes_no_settings_leaves_the_file(home: Path, body: dict[str, Any], words: str) -> None:
    (home / "mcp_llm.toml").write_text('# mine\ndefault = "demo"\n')
    with pytest.raises((ConfigError, InvalidInput), match=words):
        await settings.saved(body)
    assert (home / "mcp_llm.toml").read_text() == '# mine\ndefault = "demo"\n'
