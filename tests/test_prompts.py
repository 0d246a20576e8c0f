"""Prompts as files: what may stand in them, how their slots are filled, and that one bad file costs only itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.errors import InvalidInput
from mcp_llm.prompts import MAX_FILE, Argument, Front, Prompt, Prompts, read

if TYPE_CHECKING:
    from pathlib import Path

HEAD = '+++\ntitle = "Review"\ncontext = "review"\ntier = "pro"\n[[arguments]]\nname = "code"\nrequired = true\n+++\n'


def write(folder: Path, text: str, name: str = "review.md") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_is_front_matter_and_a_body(tmp_path: Path) -> None:
    found = read(write(tmp_path, HEAD + "\nLook at {{code}}.\n\n"))
    front = Front(title="Review", context="review", tier="pro", arguments=(Argument(name="code", required=True),))
    assert found == Prompt("review", front, "Look at {{code}}.\n")


def test_windows_line_ends_and_a_byte_order_mark_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "review.md"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + "Body\n").replace("\n", "\r\n").encode())
    assert read(path).body == "Body\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no front matter", "has to begin with TOML front matter"),
        ("+++\ntitle = 'x'\n", "has to begin with TOML front matter"),
        ("+++\ntitle = \n+++\n", "not valid TOML"),
        ("+++\ntitle = " + "[" * 5000 + "\n+++\n", "not valid TOML"),
        ("+++\ndescription = 'x'\n+++\n", "title"),
        ("+++\ntitle = 'x'\ntool = 'rm'\n+++\n", "tool"),
        ("+++\ntitle = 'x'\ntier = 'best'\n+++\n", "tier"),
        ("+++\ntitle = 'x'\n+++\n" + "y" * MAX_FILE, "over 256 KiB"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(write(tmp_path, text))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"a": "1", "b": "2"}, "1 2 dflt"),
        ({"a": "1", "b": ""}, "1  dflt"),
        ({"a": "{{b}}", "b": "2"}, "{{b}} 2 dflt"),
        ({"a": r"\1 \g<0>", "b": "2", "c": "3"}, r"\1 \g<0> 2 3"),
    ],
)
def test_slots_are_filled_in_one_pass(values: dict[str, str], text: str) -> None:
    names = tuple(Argument(name=name, required=name == "a") for name in "abc")
    assert Prompt("p", Front(title="p", arguments=names), "{{a}} {{b}} {{c|dflt}}").render(values) == text


def test_a_missing_and_an_unknown_argument_are_named() -> None:
    prompt = Prompt("p", Front(title="p", arguments=(Argument(name="code", required=True),)), "{{code}}")
    with pytest.raises(InvalidInput, match="needs code"):
        prompt.render({})
    with pytest.raises(InvalidInput, match="no argument colour; it takes code"):
        prompt.render({"code": "x", "colour": "red"})


@given(st.text(max_size=200), st.text(alphabet="{}|ab ", max_size=200))
def test_what_is_filled_in_is_never_read_again(value: str, rest: str) -> None:
    prompt = Prompt("p", Front(title="p", arguments=(Argument(name="zz"),)), "{{zz}}" + rest.replace("z", ""))
    assert prompt.render({"zz": value}).startswith(value)


def test_a_users_prompt_replaces_the_packages_and_a_bad_one_is_a_problem(tmp_path: Path) -> None:
    packaged = Prompts(())
    assert packaged.all()
    assert packaged.problems == []
    name = next(iter(packaged.all()))
    write(tmp_path, HEAD + "Mine\n", f"{name}.md")
    write(tmp_path, "broken", "broken.md")
    write(tmp_path, f"+++\ntitle = {'1' * 5000}\n+++\n", "long.md")
    (tmp_path / "latin.md").write_bytes(b"+++\ntitle = 'caf\xe9'\n+++\n")
    prompts = Prompts((tmp_path, tmp_path / "nowhere"))
    assert prompts.all()[name].body == "Mine\n"
    assert [problem[:60] for problem in prompts.problems] == [
        "prompt broken.md: it has to begin with TOML front matter bet",
        "prompt latin.md: it is not UTF-8: save it as that",
        "prompt long.md: front matter is not valid TOML: Exceeds the ",
    ]


def test_of_a_file_that_cannot_be_read_nobody_is_told_where_it_lies(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"^it cannot be read \(No such file or directory\)$"):
        read(tmp_path / "gone.md")


def test_a_context_goes_where_its_prompt_declares(tmp_path: Path) -> None:
    write(tmp_path, HEAD + "x")
    write(tmp_path, '+++\ntitle = "t"\ncontext = "own"\nmodel = "acme:m"\ntier = "lite"\n+++\nx', "own.md")
    prompts = Prompts((tmp_path,))
    assert [prompts.declared(context) for context in ("review", "own", "other", None)] == ["pro", "acme:m", None, None]
