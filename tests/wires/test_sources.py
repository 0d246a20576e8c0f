"""Sources in the shapes in which vendors give them, as lines for a person."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_llm.wires.sources import MOST, lines, named


@pytest.mark.parametrize(
    ("one", "words"),
    [
        ("https://a.example", "https://a.example"),
        ({"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}, "A https://a.example"),
        ({"type": "url_citation", "url": "https://a.example", "title": "", "start_index": 3}, "https://a.example"),
        ({"web": {"uri": "https://a.example", "title": "a.example"}}, "a.example https://a.example"),
        ({"retrievedContext": {"title": "Manual", "text": "..."}}, "Manual"),
        ({"type": "char_location", "document_title": "Manual", "cited_text": "x"}, "Manual"),
        ({"url": "https://a.example/\u202ecod.exe\n[7] other"}, "https://a.example/\\u202ecod.exe\\n[7] other"),
        ({"url": 7, "title": None}, None),
        (7, None),
        (None, None),
    ],
)
def test_a_source_is_its_title_and_its_url(one: Any, words: str | None) -> None:
    assert named([one]) == ([] if words is None else [(1, words)])


def test_a_source_that_is_cited_twice_is_named_once_and_numbers_are_places() -> None:
    cited = [{"url": "u1"}, {"url": "u1"}, {}, {"url": "u2"}]
    assert named(cited) == [(1, "u1"), (4, "u2")]
    assert named(None) == named("u1") == named({"url": "u1"}) == []


def test_the_list_below_an_answer_has_an_end() -> None:
    assert lines([]) == lines(None) == []
    assert lines(["u1", {"url": "u2"}]) == ["Sources:", "[1] u1", "[2] u2"]
    many = lines([f"u{number}" for number in range(MOST + 5)])
    assert (len(many), many[-1]) == (MOST + 2, "and 5 more")
