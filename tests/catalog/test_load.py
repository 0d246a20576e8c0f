"""What a user may lay over the catalog, and what a broken file of theirs does (nothing but tell)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mcp_llm.catalog.address import base_url, is_loopback, problem
from mcp_llm.catalog.load import load
from mcp_llm.catalog.price import quote
from mcp_llm.errors import ConfigError
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcp_llm.catalog.find import Catalog

ACME = 'base_url = "https://acme.example/v1"\n'


def test_one_line_in_a_file_is_a_provider(user: Callable[..., Catalog]) -> None:
    catalog = user(acme=ACME)
    provider = catalog.provider("acme")
    assert catalog.problems == ()
    assert provider.name == "acme"
    assert provider.wires == dict.fromkeys(("chat", "models", "embed", "image", "transcribe", "speech"), "openai")
    assert (provider.auth.env, provider.auth.headers) == (("ACME_API_KEY",), {"Authorization": "Bearer {key}"})
    assert (provider.auth.required, provider.local) == (True, False)
    target = catalog.find("acme:some/model")
    assert (target.quirks.max_tokens_field, target.quirks.strict) == ("max_tokens", "omit")
    assert target.quirks.parallel_tool_calls is False
    assert target.warnings == ()


def test_the_variable_of_the_key_may_be_named(user: Callable[..., Catalog]) -> None:
    catalog = user(acme=ACME + 'env = "MY_KEY"', beta=ACME + "[auth]\nrequired = false")
    assert catalog.provider("acme").auth.env == ("MY_KEY",)
    assert catalog.provider("beta").auth.env == ("BETA_API_KEY",)
    assert catalog.provider("beta").auth.required is False


def test_a_server_on_this_machine_needs_no_key_but_is_not_taken_to_be_free(user: Callable[..., Catalog]) -> None:
    provider = user(mine='base_url = "http://127.0.0.1:9999/v1"').provider("mine")
    assert (provider.auth.required, provider.local) == (False, False)


def test_a_file_named_like_a_provider_changes_single_keys_of_it(user: Callable[..., Catalog]) -> None:
    catalog = user(
        groq="""
        [tiers]
        lite = "new/model"
        [limits]
        concurrency = 2
        [models."new/model"]
        context = 4096
        [models."openai/gpt-oss-120b"]
        output = 1000
        [[rules]]
        match = ["openai/*"]
        context = 77
        """
    )
    before, after = load().provider("groq"), catalog.provider("groq")
    assert catalog.problems == ()
    assert after.tiers == {**before.tiers, "lite": "new/model"}
    assert (after.base_url, after.auth, after.quirks) == (before.base_url, before.auth, before.quirks)
    assert after.limits.concurrency == 2
    assert after.rules[:-1] == before.rules
    facts = catalog.facts("groq", "openai/gpt-oss-120b")
    assert (facts.output, facts.context) == (1000, 77)
    assert catalog.find("groq:lite").facts.context == 4096
    assert catalog.find("new/model").provider_id == "groq"


def test_settings_have_the_last_word_over_files(tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(ACME, encoding="utf-8")
    catalog = load(
        [tmp_path], overrides={"acme": {"base_url": "https://other.example"}, "new": {"base_url": "https://n.x"}}
    )
    assert catalog.provider("acme").base_url == "https://other.example"
    assert catalog.provider("new").base_url == "https://n.x"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("base_url = ,", r"broken\.toml is not valid TOML: .*line 1, column 12"),
        (
            ACME + "\nbase_ulr = 'x'",
            r"broken\.toml, line 3, column 1: `base_ulr`: unknown key, did you mean `base_url`",
        ),
        (
            ACME + "[models.m]\n  contxt = 1",
            r"line 3, column 3: `models\.m\.contxt`: unknown key, did you mean `context`",
        ),
        (
            ACME + '[[rules]]\nmatch = ["a"]\n[[rules]]\nmatch = ["b"]\noutput = -1',
            r"line 6, column 1: `rules\.1\.output`",
        ),
        (
            ACME + "[quirks.chat]\ntop_kk = true",
            r"\[quirks\.chat\]: quirk `top_kk`: unknown quirk, did you mean `top_k`",
        ),
        (ACME + '[wires]\nchat = "telex"', r"line 3, column 1: chat wire 'telex' does not exist"),
        (ACME + '[error_codes]\nE1 = "bad"', r"line 3, column 1: 'bad' is no error kind"),
        (ACME + 'rules_from = "nobody"', r"rules_from: 'nobody' is no provider"),
        ('name = "No URL"', r"`base_url` is missing"),
        (
            'base_url = "http://acme.example/v1"',
            r"line 1, column 1: base_url is plain http:// to another machine.*insecure = true",
        ),
        ('base_url = "https://me:secret@acme.example"', r"holds a user name or password"),
        ('base_url = "https://acme.example/v1?key=1"', r"holds a query"),
        ('base_url = "ftp://acme.example"', r"must begin with https://"),
        ('base_url = "https://"', r"names no host"),
        ("base_url = 5", r"`base_url`: Input should be a valid string"),
        ("a = " + "[" * 5000, r"broken\.toml"),
    ],
)
def test_a_broken_file_is_told_and_takes_nothing_down(
    user: Callable[..., Catalog], tmp_path: Path, text: str, told: str
) -> None:
    catalog = user(broken=text, fine=ACME)
    (problem,) = catalog.problems
    assert re.search(told, problem), problem
    assert str(tmp_path) not in problem
    assert "broken" not in catalog.ids
    assert catalog.find("fine:m").provider_id == "fine"


def test_a_broken_change_leaves_the_provider_as_it_was(user: Callable[..., Catalog]) -> None:
    catalog = user(openai='base_url = "http://evil.example"')
    assert len(catalog.problems) == 1
    assert catalog.provider("openai").base_url == "https://api.openai.com/v1"


def test_files_that_are_no_text_too_big_or_badly_named_are_told(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    (tmp_path / "huge.toml").write_text("#" * 2_000_000, encoding="utf-8")
    (tmp_path / "Bad Name.toml").write_text(ACME, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no TOML", encoding="utf-8")
    catalog = load([tmp_path, tmp_path / "missing"])
    assert [told.split(":")[0].split(" is")[0].split(" cannot")[0] for told in catalog.problems] == [
        "Bad Name.toml",
        "huge.toml",
        "latin.toml",
    ]
    assert not any(str(tmp_path) in told for told in catalog.problems)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_bytes(b"\xef\xbb\xbf" + ACME.encode())
    assert load([tmp_path]).problems == ()


def test_broken_settings_are_told_too() -> None:
    catalog = load(overrides={"openai": {"nonsense": 1}})
    (problem,) = catalog.problems
    assert problem.startswith("[providers.openai] of the settings: `nonsense`: unknown key")
    assert catalog.provider("openai").name == "OpenAI"


def test_insecure_http_has_to_be_meant(user: Callable[..., Catalog]) -> None:
    catalog = user(lan='base_url = "http://192.168.1.5:8000/v1"\ninsecure = true')
    assert catalog.problems == ()
    assert catalog.provider("lan").insecure


def test_loading_parses_no_file_of_the_package() -> None:
    catalog = load()
    assert not any("provider" in vars(source) for source in catalog._sources.values())
    catalog.find("demo")
    parsed = {name for name, source in catalog._sources.items() if "provider" in vars(source)}
    assert parsed == {"demo"}


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("api.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost.evil.example", False),
        ("192.168.0.1", False),
        ("0.0.0.0", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback_is_this_machine_only(host: str | None, near: bool) -> None:
    assert is_loopback(host) is near


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/v1\nX: y",
        "https://a.example\\@b.example",
        "http://[::1",
        "https://a.example:99999/",
        "//a",
        "",
    ],
)
def test_crooked_urls_are_refused(url: str) -> None:
    assert problem(url, insecure=True) is not None


def test_placeholders_are_filled_from_variables_and_defaults(catalog: Catalog) -> None:
    vertex = catalog.provider("vertex")
    given = {"GOOGLE_CLOUD_PROJECT": "p-1"}
    assert base_url("vertex", vertex, None, given.get) == (
        "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global"
    )
    with pytest.raises(ConfigError, match="GOOGLE_CLOUD_PROJECT is not set"):
        base_url("vertex", vertex, None, lambda name: None)
    for bad in ("p/../../x", "p@evil", "a b", "p?x"):
        with pytest.raises(ConfigError, match="GOOGLE_CLOUD_PROJECT does not fit"):
            base_url("vertex", vertex, None, {"GOOGLE_CLOUD_PROJECT": bad}.get)


def test_a_variable_may_move_the_whole_address(catalog: Catalog) -> None:
    ollama, openai = catalog.provider("ollama"), catalog.provider("openai")
    assert base_url("ollama", ollama, None, {"OLLAMA_HOST": "0.0.0.0:11500"}.get) == "http://127.0.0.1:11500"
    assert base_url("ollama", ollama, None, {"OLLAMA_HOST": "0.0.0.0"}.get) == "http://127.0.0.1:11434"
    assert base_url("ollama", ollama, None, {"OLLAMA_HOST": "https://box.example/"}.get) == "https://box.example"
    for host, url in ((":11500", "127.0.0.1:11500"), ("[::1]", "[::1]:11434"), ("localhost/x/", "localhost:11434/x")):
        assert base_url("ollama", ollama, None, {"OLLAMA_HOST": host}.get) == f"http://{url}"
    with pytest.raises(ConfigError, match="OPENAI_BASE_URL is plain http"):
        base_url("openai", openai, None, {"OPENAI_BASE_URL": "http://proxy.example/v1"}.get)


def test_a_filled_address_is_checked_again(catalog: Catalog) -> None:
    azure = catalog.provider("azure")
    given = {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/"}
    assert base_url("azure", azure, None, given.get) == "https://me.openai.azure.com/openai/v1"
    with pytest.raises(ConfigError, match="plain http"):
        base_url("azure", azure, None, {"AZURE_OPENAI_ENDPOINT": "http://me.example"}.get)


@pytest.mark.parametrize(
    ("said", "near"),
    [
        ({}, True),
        ({"OLLAMA_HOST": "0.0.0.0"}, True),
        ({"OLLAMA_HOST": ":11500"}, True),
        ({"OLLAMA_HOST": "192.168.1.20"}, True),
        ({"OLLAMA_HOST": "[fd00::20]:11434"}, True),
        ({"OLLAMA_HOST": "box"}, True),
        ({"OLLAMA_HOST": "http://box.lan:11434"}, True),
        ({"OLLAMA_HOST": "https://ollama.com"}, False),
        ({"OLLAMA_HOST": "8.8.8.8"}, False),
        ({"OLLAMA_HOST": "[2001:4860:4860::8888]"}, False),
        ({"OLLAMA_HOST": "http://[bad"}, False),
        ({"OLLAMA_BASE_URL": "https://gateway.acme.com"}, False),
        ({"OLLAMA_BASE_URL": "http://127.0.0.1:1", "OLLAMA_HOST": "https://ollama.com"}, True),
    ],
)
def test_a_local_provider_is_free_and_private_where_its_address_is(said: dict[str, str], near: bool) -> None:
    found = load(variable=said.get).target("ollama", "llama3.2:3b")
    assert found.local is near
    assert (quote(found, Usage(input=1, output=1), at=datetime.now(UTC)).source == "local") is near


def test_a_user_may_say_that_a_server_elsewhere_is_their_own(tmp_path: Path) -> None:
    moved = {"base_url": "https://box.acme.com"}
    assert not load(overrides={"ollama": moved}).provider("ollama").local
    assert load(overrides={"ollama": {**moved, "local": True}}).provider("ollama").local
    (tmp_path / "ollama.toml").write_text("local = true\n", encoding="utf-8")
    assert load((tmp_path,), variable={"OLLAMA_HOST": "https://box.acme.com"}.get).provider("ollama").local
