"""Whether length wins: found where it does, not where it does not, and told apart from quality."""

from __future__ import annotations

from random import Random

import pytest

from mcp_llm.compare.lengths import flip_p, length_bias

PAIR = (0, 1)


def test_a_judge_that_likes_length_is_found() -> None:
    draw = Random(1)
    ratios = [draw.uniform(-1, 1) for _ in range(20)]
    found = length_bias({PAIR: {index: (ratio, 1 if ratio > 0 else -1) for index, ratio in enumerate(ratios)}})
    assert found is not None
    assert (found.longer_won, found.decided, found.suspect) == (1.0, 20, True)
    assert found.p < 0.001
    assert found.within is not None
    assert found.within_p is not None
    assert found.within > 0.7
    assert found.within_p < 0.01


def test_a_judge_that_does_not_care_is_suspected_no_more_often_than_chance_has_it() -> None:
    draw = Random(2)
    suspected = significant = 0
    for _ in range(120):
        found = length_bias({PAIR: {index: (draw.uniform(-1, 1), draw.choice((1, -1, 0))) for index in range(14)}})
        assert found is not None
        assert found.within_p is not None
        suspected += found.suspect
        significant += found.p <= 0.05
    assert significant / 120 <= 0.08
    assert suspected / 120 <= 0.12


def test_a_model_that_is_always_longer_and_better_says_nothing_within_its_pair() -> None:
    found = length_bias({PAIR: {index: (0.5 + index / 100, 1) for index in range(10)}})
    assert found is not None
    assert found.longer_won == 1
    assert (found.within, found.within_p) == (None, None)


def test_verdicts_of_one_prompt_are_one_piece_of_evidence() -> None:
    one_prompt = {(a, b): {0: (1.0, 1)} for a in range(5) for b in range(a + 1, 5)}
    found = length_bias(one_prompt)
    assert found is not None
    assert (found.decided, found.p, found.suspect) == (10, 1.0, False)


def test_without_a_decision_nothing_is_said() -> None:
    assert length_bias({}) is None
    assert length_bias({PAIR: {0: (1.0, 0), 1: (0.0, 1)}}) is None


def test_sign_flips_of_few_values_are_exact_and_of_many_repeatable() -> None:
    assert flip_p([1, 1, 1, 1, 1]) == pytest.approx(2 / 32)
    assert flip_p([1, -1]) == 1
    assert flip_p([1] * 30) == pytest.approx(1 / 2000)
    assert flip_p([1] * 20 + [-1] * 12) == flip_p([1] * 20 + [-1] * 12) > 0.05
