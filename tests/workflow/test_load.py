"""YAML as workflows read it: what is written stays what it is, and what could hide something is refused by its line."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.errors import WorkflowError
from mcp_llm.workflow import load


def test_a_plain_word_is_only_what_json_would_write_the_same_way() -> None:
    text = """
numbers: [1, -7, 0, 0.5, -1.25, 123456789012345678]
texts: [010, 1.10, 12:30:45, 0x1F, 1e3, +1, .5, 1_000, -0, 1234567890123456789, no, on, yes, Off, 2026-11-20, NaN, .inf]
words: [true, False, null, ~, 'true', "1"]
no: 1
1: one
empty:
"""
    assert load.read(text).plain() == {
        "numbers": [1, -7, 0, 0.5, -1.25, 123456789012345678],
        "texts": [
            *("010", "1.10", "12:30:45", "0x1F", "1e3", "+1", ".5", "1_000", "-0", "1234567890123456789"),
            *("no", "on", "yes", "Off", "2026-11-20", "NaN", ".inf"),
        ],
        "words": [True, False, None, None, "true", "1"],
        "no": 1,
        "1": "one",
        "empty": None,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: &x 2", "line 2: anchors (`&name`) are not read"),
        ("a: 1\n\nb: *x", "line 3: aliases (`*name`) are not read"),
        ("a: !!python/object/apply:os.system [id]", "line 1: tags (`tag:yaml.org,2002:python/object/apply:os"),
        ("a: !mine x", "line 1: tags (`!mine`) are not read"),
        ("x:\n  <<: {a: 1}", "line 2: merge keys (`<<`) are not read"),
        ("a: 1\nb: 2\na: 3", "line 3: `a` is given twice; it stands on line 1 already"),
        ("? [a]\n: 1", "line 1: a key has to be one word"),
        ("a: 1\n---\nb: 2", "line 2: a second document begins here"),
        ("", "the file is empty"),
        ("# only words\n", "the file is empty"),
        ("a: [1,\n", "line 2: this is no YAML"),
        ("a:\n  - b\n c: d", "line 3: this is no YAML"),
        ("a: \x07", "line 1: "),
        ("[" * 33 + "]" * 33, "line 1: it is nested deeper than 32"),
    ],
)
def test_what_is_refused_is_told_with_its_line(text: str, words: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        load.read(text)
    assert str(caught.value).startswith(words)


def test_32_levels_and_a_quoted_merge_key_are_fine() -> None:
    assert load.read("[" * 32 + "]" * 32).line == 1
    assert load.read('"<<": x').plain() == {"<<": "x"}


def test_every_value_knows_its_line() -> None:
    node = load.read(
        "name: x\ntasks:\n  - id: a\n    method: m\n  -\n    id: b\n    parameters:\n      deep: [1,\n        2]\n"
    )
    places: dict[tuple[str | int, ...], int] = {
        ("name",): 1,
        ("tasks", 0, "method"): 4,
        ("tasks", 1, "id"): 6,
        ("tasks", 1, "parameters", "deep", 1): 9,
        ("tasks", 1, "parameters", "nothing"): 7,
    }
    assert {place: node.at(place).line for place in places} == places


def test_the_byte_order_mark_is_skipped_and_other_encodings_are_named() -> None:
    assert load.read(b"\xef\xbb\xbfa: 1").plain() == {"a": 1}
    with pytest.raises(WorkflowError, match="UTF-16"):
        load.read("a: 1".encode("utf-16"))


def test_a_dict_is_read_as_if_it_were_a_file() -> None:
    assert load.of({"a": [{"b": 1}], 2: ("x",)}).plain() == {"a": [{"b": 1}], "2": ["x"]}


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_is_yaml_and_is_read_as_json(value: Any) -> None:
    assert load.read(json.dumps(value, ensure_ascii=False)).plain() == value


@given(st.text() | st.binary())
def test_no_text_gives_anything_but_a_value_or_an_error_of_ours(text: str | bytes) -> None:
    with suppress(WorkflowError):
        load.read(text).plain()


def test_half_a_character_is_told_with_its_line() -> None:
    with pytest.raises(WorkflowError, match="line 2: the file holds a character that YAML does not allow"):
        load.read("name: x\nb: \ud800")
