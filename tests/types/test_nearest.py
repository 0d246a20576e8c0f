"""The name that was probably meant is found among few and among many, with little work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.types.nearest import MOST_COMPARED, nearest

if TYPE_CHECKING:
    from types import FrameType

MANY = [f"vendor{n % 300}/model-{'abcdefgh'[n % 8] * 3}-{n % 97}b-instruct-{n}" for n in range(20_000)]


def test_the_nearest_comes_first_and_nothing_like_it_is_nothing() -> None:
    known = ["read", "write", "read_all"]
    assert nearest("raed", known) == ["read"]
    assert nearest("read_al", known, most=3) == ["read_all", "read"]
    assert nearest("read_al", known, most=3, likeness=0.8) == ["read_all"]
    assert nearest("xyz", known) == []
    assert nearest("", known) == []
    assert nearest("x" * 1_000_000, known) == []
    assert nearest("read", []) == []


@pytest.mark.parametrize("place", [0, 3, 9, 14, 20, 26])
@pytest.mark.parametrize("number", [0, 7_777, 19_999])
def test_a_letter_too_few_is_forgiven_among_many(place: int, number: int) -> None:
    meant = MANY[number]
    assert meant in nearest(meant[:place] + meant[place + 1 :], MANY, most=3)


def test_a_short_name_is_found_among_many() -> None:
    assert nearest("gtp", [*MANY, "gpt"]) == ["gpt"]


@pytest.mark.parametrize("name", ["vendor7/modle-aaa-12b-instruct-77", "ab" * 500, "z", "vendor"])
def test_of_many_names_few_are_compared(name: str) -> None:
    compared = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal compared
        compared += event == "call" and frame.f_code.co_name == "ratio"

    sys.setprofile(count)
    try:
        nearest(name, [*MANY, *(("ab" * 40)[:64] + str(n) for n in range(1000))])
    finally:
        sys.setprofile(None)
    assert compared <= 2 * MOST_COMPARED  # some versions of the library ask for each ratio twice
