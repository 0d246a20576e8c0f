"""What a batch is made of: lines, plain lines, folders, templates; and what is wrong with them, before any is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_llm.batch.items import Item, checked, from_folder, from_lines
from mcp_llm.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path


def test_lines_are_strings_or_arguments_and_have_ids() -> None:
    lines = [
        b'\xef\xbb\xbf"one"\n',
        b"\n",
        b'{"id": "b", "prompt": "two", "max_tokens": 5}\r\n',
        b'{"custom_id": 3, "messages": []}',
    ]
    with pytest.raises(InvalidInput, match="line 4 has neither `prompt` nor `messages`"):
        list(from_lines(lines))
    lines[-1] = b'{"custom_id": 3, "messages": [{"role": "user", "content": "x"}]}'
    assert list(from_lines(lines)) == [
        Item("1", 1, {"prompt": "one"}),
        Item("b", 3, {"prompt": "two", "max_tokens": 5}),
        Item("3", 4, {"messages": [{"role": "user", "content": "x"}]}),
    ]


def test_plain_lines_are_prompts_whatever_they_look_like() -> None:
    assert list(from_lines([b'{"a": 1}\n', b"two\n"], plain=True)) == [
        Item("1", 1, {"prompt": '{"a": 1}'}),
        Item("2", 2, {"prompt": "two"}),
    ]


def test_a_template_is_filled_once() -> None:
    lines = [b'{"id": "a", "city": "{{name}}", "name": "x", "facts": [1, "\xc3\xa9"]}']
    assert list(from_lines(lines, "{{city}}/{{name}}/{{facts}}")) == [Item("a", 1, {"prompt": '{{name}}/x/[1, "é"]'})]
    assert list(from_lines([b'"Ann"'], "Where is {{prompt}} from?")) == [Item("1", 1, {"prompt": "Where is Ann from?"})]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{", "line 1 is no JSON"),
        (b"plain words", "say so (--text)"),
        (b"[1]", "line 1 is a JSON list; it has to be a string or an object"),
        (b'{"prompt": "x", "id": true}', "`id` has to be a text"),
        (b'{"prompt": "x", "id": ""}', "`id` has to be a text"),
        (
            b'{"text": "x"}',
            "neither `prompt` nor `messages` is there, and there is no argument `text`; did you mean `context`?",
        ),
        (b'{"prompt": "x", "max_token": 1}', "no argument `max_token`; did you mean `max_tokens`?"),
        (b'{"question": "x"}', "fields fill its {{slots}}"),
        (b'"\xff"', "line 1 is not UTF-8"),
        (b"[" * 100_000, "line 1 is no JSON"),
    ],
)
def test_a_wrong_line_is_named(line: bytes, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        list(from_lines([line]))
    assert told in str(caught.value)


def test_a_field_that_the_template_wants_has_to_be_there() -> None:
    with pytest.raises(InvalidInput, match="item 1 has no city, which the template asks for"):
        list(from_lines([b'{"name": "x"}'], "{{name}} {{city}}"))


def test_two_items_may_not_share_an_id_and_none_is_no_batch() -> None:
    lines = [b'"x"', b'{"id": "1", "prompt": "y"}']
    with pytest.raises(InvalidInput, match="items 1 and 2 have the same id '1'"):
        checked(from_lines(lines))
    with pytest.raises(InvalidInput, match="nothing to ask"):
        checked(from_lines([b"\n"]))
    assert checked(from_lines([b'"x"', b'"y"'])) == 2


def test_a_folder_gives_its_files_by_path_and_attaches_what_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.md").write_text("bee", encoding="utf-8")
    (folder / "sub" / "a.md").write_text("ay", encoding="utf-8")
    (folder / "sub" / "c.txt").write_text("see", encoding="utf-8")
    (folder / "p.md").write_bytes(b"\x89PNG\xff")
    (tmp_path / "secret.md").write_text("secret", encoding="utf-8")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    assert list(from_folder(folder, "*.md", "{{path}} {{stem}} {{name}}: {{content}}")) == [
        Item("b.md", 1, {"prompt": "b.md b b.md: bee"}),
        Item("p.md", 2, {"prompt": "p.md p p.md: ", "files": [(folder / "p.md").resolve()]}),
        Item("sub/a.md", 3, {"prompt": "sub/a.md a a.md: ay"}),
    ]
    assert list(from_folder(folder, "*.txt", None)) == [Item("sub/c.txt", 1, {"prompt": "see"})]
    (folder / "empty.md").write_text("", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"empty\.md is empty"):
        list(from_folder(folder, "empty*", None))
