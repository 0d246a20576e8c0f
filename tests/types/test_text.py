"""Text from anywhere, made fit to be written down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.types.text import name, unbroken

ANY = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "written"),
    [("plain", "plain"), ("x\ud800y", "x\ufffdy"), ("\udfff", "\ufffd"), ("\ud83d\ude00", "\U0001f600"), ("ä", "ä")],
)
def test_only_half_a_pair_is_replaced_and_two_halves_are_one_character(text: str, written: str) -> None:
    assert unbroken(text) == written


@given(ANY)
def test_whatever_is_unbroken_can_be_encoded_and_good_text_stays(text: str) -> None:
    unbroken(text).encode()
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert unbroken(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("notes.title", "notes.title"),
        ("größe 日本", "größe 日本"),
        ("a\n\x1b[2J\u202e\u2028b", "a\\n\\x1b[2J\\u202e\\u2028b"),
        ("\ud800", "\ufffd"),
        ("x" * 300, "x" * 256),
        ("\n" * 300, "\\n" * 128),
    ],
)
def test_a_name_is_kept_short_and_on_one_line(text: str, kept: str) -> None:
    assert name(text) == kept


@given(ANY)
def test_no_name_holds_what_cannot_be_seen(text: str) -> None:
    kept = name(text)
    assert kept.isprintable()
    assert len(kept) <= 256
