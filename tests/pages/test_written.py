"""The user's own files: one change at a time, every other byte as it was, for nobody else's eyes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.config import own
from mcp_llm.errors import ConfigError, InvalidInput
from mcp_llm.server.pages import written

if TYPE_CHECKING:
    from pathlib import Path

ENV = """\
# mine
OPENAI_API_KEY=old

export OTHER='a b'  # kept
LONG="one
two OPENAI_API_KEY=no
three"
"""


def test_a_variable_is_set_in_its_place_and_nothing_else_moves(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(ENV)
    written.variable(path, "OPENAI_API_KEY", "sk-new")
    assert path.read_text() == ENV.replace("OPENAI_API_KEY=old", "OPENAI_API_KEY=sk-new", 1)


def test_a_new_variable_comes_last_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1")
    written.variable(path, "B_API_KEY", "it's#odd")
    assert path.read_text() == "A=1\nB_API_KEY='it\\'s#odd'\n"


def test_a_variable_is_taken_out_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\nB=2\n# between\nA=3\n")
    written.variable(path, "A", None)
    assert path.read_text() == "B=2\n# between\n"


def test_the_file_is_made_for_its_owner_alone_and_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".env"
    written.variable(path, "A_API_KEY", "secret-value")
    os.chmod(path, 0o644)
    written.variable(path, "A_API_KEY", "another-value")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == [".env"]


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text("A=1\n")
    (tmp_path / ".env").symlink_to(real)
    written.variable(tmp_path / ".env", "A", "2")
    assert (tmp_path / ".env").is_symlink()
    assert real.read_text() == "A=2\n"


@pytest.mark.parametrize("value", ["", "two words", "line\nbreak", "é", "x" * 9000, "nul\0"])
def test_a_value_that_no_key_has_is_refused_and_not_repeated(tmp_path: Path, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        written.variable(tmp_path / ".env", "A_API_KEY", value)
    assert not value or value not in str(caught.value)
    assert not (tmp_path / ".env").exists()


@given(
    before=st.dictionaries(st.sampled_from(["A", "B_API_KEY", "C"]), st.text("ab'\"\\#$ =", min_size=1, max_size=6)),
    value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40),
)
def test_any_key_is_read_back_as_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, str], value: str
) -> None:
    path = tmp_path_factory.mktemp("env") / ".env"
    path.write_text(
        "".join(f"{name}='{text}'\n" for name, text in before.items() if "'" not in text and "\\" not in text)
    )
    kept = written._values(path.read_text())
    written.variable(path, "B_API_KEY", value)
    assert written._values(path.read_text()) == {**kept, "B_API_KEY": value}


TOML = """\
# top
default = "auto"   # the default

[contexts]
"notes.*" = { model = "ollama:lite", local_only = true }  # private

[budget]
# a day
day_usd = 5
"""


def test_settings_change_in_their_places_with_every_comment_kept(tmp_path: Path) -> None:
    path = tmp_path / "mcp_llm.toml"
    path.write_text(TOML)
    text = written.settings(
        path,
        {
            ("default",): "openai:pro",
            ("budget", "day_usd"): 7,
            ("tiers", "lite"): "groq:lite",
            ("contexts", "chat"): {"model": "lite", "local_only": True},
        },
    )
    added = 'chat = {model = "lite", local_only = true}\n\n[budget]'
    expected = TOML.replace('"auto"', '"openai:pro"').replace("day_usd = 5", "day_usd = 7").replace("\n[budget]", added)
    assert text == expected + '\n[tiers]\nlite = "groq:lite"\n'


def test_what_is_taken_out_is_gone_and_an_absent_one_makes_no_table(tmp_path: Path) -> None:
    path = tmp_path / "mcp_llm.toml"
    path.write_text(TOML)
    text = written.settings(path, {("contexts", "notes.*"): None, ("tiers", "pro"): None, ("default",): None})
    written.put(path, text)
    assert "tiers" not in text
    assert "notes" not in text
    assert own(tmp_path).budget.day_usd == 5


def test_a_broken_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mcp_llm.toml"
    path.write_text("default = [")
    with pytest.raises(ConfigError, match="not valid TOML"):
        written.settings(path, {("default",): "x"})
