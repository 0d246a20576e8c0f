"""Exact checks of answers."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_llm.compare.expect import check, expectations, last_number, same_json
from mcp_llm.compare.result import Check
from mcp_llm.errors import InvalidInput, TooLarge

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("expect", "text", "passed"),
    [
        ("Paris", " Paris\n", True),
        ("Paris", "paris", False),
        ("Paris", "It is Paris", False),
        ({"equals": {"a": 1, "b": [True]}}, '```json\n{"b": [true], "a": 1.0}\n```', True),
        ({"equals": {"a": 1}}, '{"a": true}', False),
        ({"equals": True}, "true", True),
        ({"contains": "Par"}, "It is Paris", True),
        ({"contains": ["Par", "Rome"]}, "It is Paris", False),
        ({"regex": "(?i)^it IS"}, "It is Paris", True),
        ({"regex": r"\bis (\w+)$"}, "It is", False),
        ({"json_schema": SCHEMA}, 'Here: {"n": 3}', True),
        ({"json_schema": SCHEMA}, '{"n": "3"}', False),
        ({"json_schema": SCHEMA}, "three", False),
        (42, "6 * 7 = 42.", True),
        (42, "42 it is, not 41", False),
        ({"number": 3.14159, "tolerance": 0.01}, "about 3.14", True),
        ({"number": 1234567}, "so 1,234,567 people", True),
        ({"number": -2.5}, "x = -2.5", True),
        ({"number": 1}, "none", False),
        ({"contains": "4", "number": 42}, "42", True),
        ({"contains": "5", "number": 42}, "42", False),
    ],
)
def test_an_answer_is_what_was_expected_or_not(expect: Any, text: str, passed: bool) -> None:
    (wanted,) = expectations(expect, 1)
    assert wanted is not None
    assert check(wanted, text).passed is passed


def test_the_reasons_are_told() -> None:
    (wanted,) = expectations({"equals": "x", "contains": ["y"], "regex": "^z", "number": 3, "json_schema": SCHEMA}, 1)
    assert wanted is not None
    assert check(wanted, "w 4") == Check(
        passed=False,
        failed=("is not 'x'", "lacks 'y'", "does not match '^z'", "is not JSON", "gives 4, not 3"),
    )


def test_a_parsed_answer_is_checked_as_it_was_parsed() -> None:
    (wanted,) = expectations({"equals": {"a": 1}}, 1)
    assert wanted is not None
    assert check(wanted, "whatever", {"a": 1}).passed is True
    (number,) = expectations(7, 1)
    assert number is not None
    assert check(number, "7 of 8", 7).passed is True


def test_a_pattern_that_may_be_too_slow_counts_neither_way() -> None:
    (wanted,) = expectations({"regex": r"(a+)+$"}, 1)
    assert wanted is not None
    found = check(wanted, "a" * 5000 + "b")
    assert (found.passed, len(found.unchecked)) == (None, 1)


@pytest.mark.parametrize(
    ("pattern", "length"), [(r"\d+", 50_000), (r"answer is (\d+)", 50_000), (r"(?i)paris", 50_000), (r"^The", 50_000)]
)
def test_plain_patterns_are_checked_in_long_answers(pattern: str, length: int) -> None:
    (wanted,) = expectations({"regex": pattern}, 1)
    assert wanted is not None
    text = "The answer is 42, in Paris. " * (length // 28)
    assert check(wanted, text).passed is True


def test_each_prompt_may_have_its_own() -> None:
    one, other, none = expectations(["a", 2, None], 3)
    assert one is not None
    assert other is not None
    assert (one.equals, other.number, none) == ("a", 2.0, None)


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        (["a"], "lists 1 expectations for 2 prompt(s)"),
        ({"equal": "a"}, "has no `equal`; there are equals"),
        ({}, "expects nothing"),
        ({"tolerance": 1}, "expects nothing"),
        ({"contains": 3}, "has to be text or a list"),
        ({"regex": "("}, "is no regular expression"),
        ({"number": "3"}, "has to be a number"),
        ({"number": float("nan")}, "has to be a number"),
        ({"number": 1, "tolerance": -1}, "negative"),
        ({"json_schema": {"$ref": "http://x.invalid/s"}}, "nothing is fetched"),
        (object(), "has to be text, a number"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(expect: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        expectations(expect, 2)
    assert said in str(caught.value)


def test_a_schema_that_is_a_bomb_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"properties": {"a": deep}}
    with pytest.raises(TooLarge):
        expectations({"json_schema": deep}, 1)


def test_the_last_number_is_the_answer() -> None:
    assert [last_number(text) for text in ("1 and 2.5", "a 1e3", "12,345.6", "none", "1e999")] == [
        2.5,
        1000.0,
        12345.6,
        None,
        None,
    ]


def test_json_is_equal_by_value() -> None:
    assert same_json({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]})
    assert not same_json([1, 2], [2, 1])
    assert not same_json({"a": 1}, {"a": 1, "b": 2})
    assert not same_json(0, False)
    assert not same_json("1", 1)
