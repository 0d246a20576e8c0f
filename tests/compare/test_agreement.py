"""How far answers agree."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_llm.compare.agreement import Words, agreement
from mcp_llm.compare.result import Agreement, Failure, Result, Similarity


def result(model: str, text: str, prompt: int = 0, sample: int = 0, **more: Any) -> Result:
    return Result(response=text, model=model, run_id="r", prompt=prompt, sample=sample, **more)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Paris", " paris.\n", True),
        ("**Paris**", "Paris", True),
        ("\uff30aris", "Paris", True),
        ("Paris", "Rome", False),
        ("1,000", "1000.0", True),
        ("1e3", "1000", True),
        ("10%", "10", False),
        ("10", "11", False),
    ],
)
def test_answers_are_equal_after_normalisation(one: str, other: str, same: bool) -> None:
    assert Words(one).same(Words(other)) is same


def test_json_answers_are_equal_by_value() -> None:
    assert Words('{"a":1,"b":2}', {"a": 1, "b": 2}).same(Words('{"b": 2, "a": 1}', {"b": 2, "a": 1.0}))
    assert not Words("[1]", [1]).same(Words("[2]", [2]))


def test_likeness_is_the_token_f1() -> None:
    # 3 shared tokens of 4 and 5: precision 3/5, recall 3/4, F1 2/3.
    assert Words("the cat sat down").likeness(Words("a cat sat down here")) == pytest.approx(6 / 9)
    assert Words("the the the").likeness(Words("the")) == pytest.approx(0.5)
    assert Words("東京です").likeness(Words("東京")) == pytest.approx(2 * 2 / 6)
    assert Words("").likeness(Words("!?")) == 1
    assert Words("a").likeness(Words("")) == 0


def test_pairs_are_compared_sample_by_sample_and_failures_left_out() -> None:
    failed = result("c", "", error=Failure(kind="timeout", message="late"))
    results = [
        result("a", "yes", 0, 0),
        result("a", "yes", 0, 1),
        result("b", "Yes.", 0, 0),
        result("b", "no", 0, 1),
        failed,
    ]
    assert agreement(results, ["a", "b", "c"]) == Agreement(
        same=0.5,
        similarity=0.5,
        pairs=(Similarity(a="a", b="b", same=0.5, similarity=0.5, compared=2),),
        consistency={"a": 1.0, "b": 0.0},
    )
    assert agreement([results[0], failed], ["a", "c"]) is None
