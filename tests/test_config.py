"""Settings and keys from their layers; what lies in a working folder is data and reaches nothing."""

from __future__ import annotations

import os
import sys
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm import config
from mcp_llm.errors import ConfigError
from mcp_llm.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "a" / "b" / "project"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def user(tmp_path: Path) -> Path:
    folder = tmp_path / "user"
    folder.mkdir()
    return folder


def load(user: Path, work: Path, overrides: dict[str, Any] | None = None, /, **environment: str) -> config.Config:
    return config.load(environment={"MCP_LLM_HOME": str(user), **environment}, working_folder=work, overrides=overrides)


def key(loaded: config.Config, name: str = "ACME_API_KEY") -> str | None:
    found = loaded.key([name])
    return found.get_secret_value() if found else None


# .env


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ACME_API_KEY=sk-1\n", "sk-1"),
        ("ACME_API_KEY=sk-1", "sk-1"),
        ("\ufeffACME_API_KEY=sk-1\n", "sk-1"),
        ("ACME_API_KEY=sk-1\r\nX=2\r\n", "sk-1"),
        ("export ACME_API_KEY='sk-a=b ' # why\r\n", "sk-a=b"),
        ('ACME_API_KEY="sk-1"\n', "sk-1"),
        ("ACME_API_KEY = sk-1   # why\n", "sk-1"),
        ("ACME_API_KEY=sk-1\nACME_API_KEY=sk-2\n", "sk-2"),
        ("ACME_API_KEY=a${HOME}b\n", "a${HOME}b"),
        ("ACME_API_KEY=\n", None),
        ("ACME_API_KEY\n", None),
        ("# ACME_API_KEY=sk-1\n", None),
        ("ACME_API_KEY=not-set\n", None),
        ("", None),
    ],
)
def test_an_env_file_is_read_as_people_write_them(user: Path, work: Path, text: str, found: str | None) -> None:
    (user / ".env").write_bytes(text.encode())
    assert key(load(user, work)) == found


def test_a_line_that_is_not_utf8_is_skipped_and_named_without_its_value(user: Path, work: Path) -> None:
    (user / ".env").write_bytes(b"A=1\nOTHER_KEY=sk-secret\xff\nACME_API_KEY=sk-1\n")
    loaded = load(user, work)
    assert key(loaded) == "sk-1"
    assert loaded.problems == [".env in the config folder, line 2: not UTF-8, skipped"]


def test_a_giant_env_file_is_refused_at_once(user: Path, work: Path) -> None:
    (work / ".env").write_bytes(b"A=b\n" * 2_621_440)
    started = time.monotonic()
    loaded = load(user, work)
    assert time.monotonic() - started < 0.5
    assert loaded.problems == [".env in the working folder is over 1024 KiB and was not read"]


def test_an_env_file_that_is_a_folder_is_no_env_file(user: Path, work: Path) -> None:
    (work / ".env").mkdir()
    assert load(user, work).problems == []


def test_folders_above_the_working_folder_are_not_searched(user: Path, work: Path) -> None:
    (work.parent / ".env").write_text("ACME_API_KEY=sk-parent\n")
    (work.parent / "mcp_llm.toml").write_text('default = "parent:m"\n')
    loaded = load(user, work)
    assert (key(loaded), loaded.settings.default) == (None, "auto")


def test_the_nearer_place_of_a_key_wins(user: Path, work: Path) -> None:
    (user / ".env").write_text("ACME_API_KEY=user\n")
    assert load(user, work).find_key(["ACME_API_KEY"])[2] == ".env in the config folder"  # type: ignore[index]
    (work / ".env").write_text("ACME_API_KEY=project\n")
    assert key(load(user, work)) == "project"
    assert key(load(user, work, ACME_API_KEY="environment")) == "environment"


def test_the_names_of_a_key_are_tried_in_order(user: Path, work: Path) -> None:
    loaded = load(user, work, SECOND_API_KEY="2", FIRST_API_KEY="1")
    assert loaded.find_key(["FIRST_API_KEY", "SECOND_API_KEY"])[0] == "FIRST_API_KEY"  # type: ignore[index]


def test_keys_show_nowhere(user: Path, work: Path) -> None:
    (work / ".env").write_text("ACME_API_KEY=sk-project-123456\n")
    loaded = load(user, work, OTHER_TOKEN="tok-environment-123456")
    shown = repr(loaded) + str(loaded) + repr(loaded.key(["ACME_API_KEY"]))
    assert "sk-project" not in shown
    assert "tok-environment" not in shown
    assert sorted(loaded.secrets()) == ["sk-project-123456", "tok-environment-123456"]


# The working folder


def test_a_working_folder_cannot_move_keys_to_another_host(user: Path, work: Path) -> None:
    lines = (
        "ACME_BASE_URL=http://127.0.0.1:9\nHTTPS_PROXY=http://127.0.0.1:9\nACME_API_KEY=sk-1\nMCP_LLM_MODEL=evil:m\n"
    )
    (work / ".env").write_text(lines)
    loaded = load(user, work)
    assert [loaded.variable(name) for name in ("ACME_BASE_URL", "HTTPS_PROXY")] == [None, None]
    assert (key(loaded), loaded.settings.default) == ("sk-1", "auto")
    assert len(loaded.problems) == 1
    assert ".env in the working folder sets ACME_BASE_URL, HTTPS_PROXY, MCP_LLM_MODEL: ignored" in loaded.problems[0]


def test_a_users_own_env_file_may_say_where_a_provider_is(user: Path, work: Path) -> None:
    (user / ".env").write_text("ACME_BASE_URL=http://127.0.0.1:9\nMCP_LLM_MODEL=mine:m\n")
    loaded = load(user, work)
    assert (loaded.variable("ACME_BASE_URL"), loaded.settings.default) == ("http://127.0.0.1:9", "mine:m")


def test_a_project_file_routes_and_does_nothing_else(user: Path, work: Path) -> None:
    (work / "mcp_llm.toml").write_text(
        'default = "acme:m"\n[contexts]\nnotes = "acme:small"\n[providers.openai]\nbase_url = "http://127.0.0.1:9"\n'
        '[files]\nroots = ["/"]\n[budget]\nday_usd = 1000\n'
    )
    loaded = load(user, work)
    assert (loaded.settings.default, loaded.settings.contexts["notes"].model) == ("acme:m", "acme:small")
    assert (loaded.settings.providers, loaded.settings.files.roots, loaded.settings.budget.day_usd) == ({}, (), None)
    assert len(loaded.problems) == 1
    assert loaded.problems[0].startswith("mcp_llm.toml in the working folder sets budget, files, providers: ignored")


@pytest.mark.parametrize("data", [b"default = ", b"\xff\xfe", b"default = 7\n", b"[contexts]\nx = { modl = 'a' }\n"])
def test_a_broken_project_file_is_noted_and_left_out(user: Path, work: Path, data: bytes) -> None:
    (work / "mcp_llm.toml").write_bytes(data)
    loaded = load(user, work)
    assert loaded.settings.default == "auto"
    assert len(loaded.problems) == 1
    assert loaded.problems[0].startswith("mcp_llm.toml in the working folder is ignored: ")


@pytest.mark.parametrize("between", ["\n", "\u2028", "\x85"])
def test_no_sign_makes_lines_of_a_project_file_look_shorter_than_they_are(user: Path, work: Path, between: str) -> None:
    """TOML allows those two in a quoted key, and a key of thirty thousand dots costs twelve seconds."""
    keys = f'.a."{between}".'.join(["a." * 900 + "a"] * 30) if between != "\n" else "a." * 2000 + "a"
    (work / "mcp_llm.toml").write_text(f"[aliases]\n{keys} = 1\n", encoding="utf-8")
    loaded = load(user, work)
    assert loaded.settings.aliases == {}
    assert loaded.problems == [
        "mcp_llm.toml in the working folder is ignored: a line of it has more than 2000 characters"
    ]


def test_keys_come_from_the_keychain_where_it_can_be_asked(
    user: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "modules"
    store.mkdir()
    (store / "keyring.py").write_text(
        "def get_password(service, name):\n"
        "    if name == 'LOCKED_API_KEY':\n"
        "        raise RuntimeError('No recommended backend was available')\n"
        "    return 'sk-kept' if (service, name) == ('mcp-llm', 'ACME_API_KEY') else None\n"
    )
    monkeypatch.syspath_prepend(store)
    monkeypatch.delitem(sys.modules, "keyring", raising=False)
    loaded = load(user, work, {"keychain": True})
    try:
        assert [key(loaded), key(loaded, "OTHER_API_KEY"), loaded.problems] == ["sk-kept", None, []]
        assert [key(loaded, "LOCKED_API_KEY") for _ in range(2)] == [None, None]
    finally:
        del sys.modules["keyring"]
    why = "the keychain cannot be asked (RuntimeError): see to it that `python -m keyring` works here"
    assert loaded.problems == [f"{why}, or set `keychain = false`"]
    assert key(load(user, work), "ACME_API_KEY") is None


# The user's file

SIGNED = "[http.oauth]\nkey = 'a key in PEM'\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n[contextz]\n", ["line 2", "`contextz`: unknown key", "did you mean `contexts`?"]),
        ("[budget]\nday_usd = -1\n", ["line 2", "`budget.day_usd`"]),
        ("[budget]\nday_usd = nan\n", ["line 2", "`budget.day_usd`"]),
        ("[retries]\nattempts = 99\n", ["line 2", "`retries.attempts`"]),
        ("default = \n", ["not valid TOML", "line 1"]),
        (f"max_calls = {'1' * 5000}\n", ["not valid TOML", "Exceeds the limit"]),
        ("[providers.openai]\nkey='sk-live-123'\n", ["[providers.openai] holds a key", "put it in .env"]),
        ("[providers.openai]\napi_key='sk-live-123'\n", ["[providers.openai] holds a key"]),
        ("providers = 3\n", ["`providers`"]),
        (f"{SIGNED}issuer = 'https://[bad'\nresource = 'https://us.example'\n", ["`issuer` is no URL"]),
        (f"{SIGNED}issuer = 'https://id.example'\nresource = 'https://us.example:x'\n", ["`resource` is no URL"]),
    ],
)
def test_a_wrong_user_file_stops_the_start_with_place_and_fix(
    user: Path, work: Path, text: str, words: list[str]
) -> None:
    (user / "mcp_llm.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(user, work)
    for word in words:
        assert word in str(caught.value)
    assert "sk-live-123" not in str(caught.value)
    assert str(user) not in str(caught.value)


def test_layers_are_joined_table_by_table_and_the_later_wins(user: Path, work: Path) -> None:
    (user / "mcp_llm.toml").write_text('default = "user:m"\n[timeouts]\nconnect = 1\nidle = 2\n[aliases]\na = "u:1"\n')
    (work / "mcp_llm.toml").write_text('default = "project:m"\n[aliases]\nb = "p:1"\n')
    loaded = load(
        user,
        work,
        {"timeouts": {"idle": 9}},
        MCP_LLM_MODEL="environment:m",
        MCP_LLM_DAY_USD="2.5",
        MCP_LLM_DISCOVER="off",
    )
    settings = loaded.settings
    assert (settings.default, settings.timeouts.connect, settings.timeouts.idle) == ("environment:m", 1, 9)
    assert settings.aliases == {"a": "u:1", "b": "p:1"}
    assert (str(settings.budget.day_usd), settings.discover) == ("2.5", False)
    assert loaded.sources == ["mcp_llm.toml in the config folder", "mcp_llm.toml in the working folder"]


def test_a_config_file_that_cannot_be_one_is_told_and_not_taken_for_none(user: Path, work: Path) -> None:
    for folder in (work, user):
        (folder / "mcp_llm.toml").mkdir()
    with pytest.raises(ConfigError, match=r"the user's config file \(mcp_llm\.toml\) is a folder: put a file"):
        load(user, work)
    (user / "mcp_llm.toml").rmdir()
    assert load(user, work).problems == [
        "the working folder's (mcp_llm.toml) is a folder: put a file in its place, or take it away"
    ]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="whom no mode stops reads it")
def test_a_config_file_that_is_closed_to_us_is_not_said_to_be_no_text(user: Path, work: Path) -> None:
    (user / "mcp_llm.toml").write_text("")
    (user / "mcp_llm.toml").chmod(0)
    with pytest.raises(ConfigError, match=r"cannot be read: Permission denied\. Open it to us\."):
        load(user, work)


@pytest.mark.parametrize("blank", ["", "  ", "${user_config.value}"])
def test_a_variable_that_is_set_to_nothing_sets_nothing_and_hides_nothing(user: Path, work: Path, blank: str) -> None:
    (user / ".env").write_text("MCP_LLM_MODEL=mine:m\nMCP_LLM_CALL_USD=2\n")
    names = ("MODEL", "CALL_USD", "DAY_USD", "ROOTS", "PACKS", "SOFT_DEADLINE", "DISCOVER")
    loaded = load(user, work, **{f"MCP_LLM_{name}": blank for name in names})
    budget = Settings().budget.model_copy(update={"call_usd": Decimal(2)})
    assert loaded.settings == Settings(default="mine:m", budget=budget)


def test_a_home_that_is_blank_is_not_a_folder_named_by_blanks(work: Path, tmp_path: Path) -> None:
    there = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    loaded = config.load(environment={**there, "MCP_LLM_HOME": "   "}, working_folder=work)
    assert loaded.home == config.load(environment=there, working_folder=work).home


@pytest.mark.parametrize(
    ("variable", "value"),
    [("DAY_USD", "a lot"), ("CALL_USD", "-1"), ("SOFT_DEADLINE", "soon"), ("PACKS", "core,everything")],
)
def test_a_variable_that_cannot_be_is_told_by_its_name(user: Path, work: Path, variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"^MCP_LLM_{variable}: "):
        load(user, work, **{f"MCP_LLM_{variable}": value})


def test_a_home_that_does_not_exist_is_no_error(tmp_path: Path, work: Path) -> None:
    loaded = load(tmp_path / "nowhere", work)
    assert (loaded.settings.default, loaded.problems) == ("auto", [])
    assert not (tmp_path / "nowhere").exists()


def test_one_folder_being_both_is_the_users(user: Path) -> None:
    (user / ".env").write_text("ACME_BASE_URL=http://127.0.0.1:9\n")
    (user / "mcp_llm.toml").write_text("[budget]\nday_usd = 3\n")
    loaded = load(user, user)
    assert (loaded.variable("ACME_BASE_URL"), loaded.problems) == ("http://127.0.0.1:9", [])
    assert str(loaded.settings.budget.day_usd) == "3"
