"""The formulas against published values, and the promises they make against 1,000 simulated comparisons."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from random import Random
from typing import TYPE_CHECKING

import pytest

from mcp_llm.compare import evidence, stats
from mcp_llm.compare.judging import Ballot

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.compare.judging import Vote

RUNS = 1000
VOTES: tuple[Vote, ...] = ("a", "b", "tie")


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17:857-872, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_that_of_newcombes_table(successes: int, n: int, low: float, high: float) -> None:
    assert stats.wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("n", "share"), [(20, 0.5), (50, 0.7), (100, 0.85), (200, 0.6)])
def test_wilsons_interval_covers_close_to_its_nominal_rate(n: int, share: float) -> None:
    covered = 0.0
    for k in range(n + 1):
        low, high = stats.wilson(k, n)
        if low <= share <= high:
            covered += math.comb(n, k) * share**k * (1 - share) ** (n - k)
    assert covered == pytest.approx(0.95, abs=0.02)


def test_binomial_tails_are_exact() -> None:
    for n, chance in product((1, 7, 40, 300), (Fraction(1, 2), Fraction(2, 3))):
        for k in {0, 1, n // 3, n // 2, n - 1, n, n + 1}:
            exact = sum(math.comb(n, i) * chance**i * (1 - chance) ** (n - i) for i in range(k, n + 1))
            assert stats.at_least(k, n, float(chance)) == pytest.approx(float(exact), rel=1e-9, abs=1e-300)


def test_the_sign_test_gives_the_tables_values() -> None:
    # Two-sided binomial probabilities with p = 1/2, as in any table of the sign test.
    assert stats.sign_test(9, 1) == pytest.approx(22 / 1024)
    assert stats.sign_test(8, 2) == pytest.approx(112 / 1024)
    assert stats.sign_test(5, 5) == 1
    assert stats.sign_test(0, 0) == 1
    assert stats.beats(6, 0) == pytest.approx(1 / 64)


@pytest.mark.parametrize(("share", "alpha"), [(0.6, 0.025), (2 / 3, 0.0125), (0.75, 0.025), (0.9, 0.025), (1.0, 0.025)])
def test_the_sample_size_is_the_first_with_the_power_promised(share: float, alpha: float) -> None:
    def power(n: int) -> float:
        critical = next(k for k in range(n + 2) if stats.at_least(k, n) <= alpha)
        return stats.at_least(critical, n, share)

    n = stats.trials_needed(share, alpha=alpha)
    assert n is not None
    assert power(n) >= stats.POWER
    assert max(power(smaller) for smaller in range(max(1, n * 9 // 10), n)) < stats.POWER if n > 1 else True


def test_a_large_sample_size_is_near_the_exact_one() -> None:
    for share, alpha in ((0.57, 0.025), (0.55, 0.01)):
        n = stats.trials_needed(share, alpha=alpha)
        assert n is not None
        assert n > stats.EXACT
        critical = next(k for k in range(n // 2, n) if stats.at_least(k, n) <= alpha)
        assert stats.at_least(critical, n, share) == pytest.approx(stats.POWER, abs=0.02)


def test_no_sample_finds_a_difference_that_is_not_there() -> None:
    assert stats.trials_needed(0.5, alpha=0.025) is None
    assert stats.trials_needed(0.501, alpha=0.025) is None


def test_cohens_kappa_of_the_textbook_example() -> None:
    # Two readers of 50 proposals: both yes 20, both no 15, only the first yes 5, only the second yes 10: kappa 0.4.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert stats.cohen(first, second) == pytest.approx(0.4)
    assert stats.cohen(["x"] * 5, ["x"] * 5) is None
    assert stats.cohen([], []) is None


def test_fleiss_kappa_of_the_textbook_example() -> None:
    # Ten subjects, fourteen raters, five categories, after Fleiss (1971): kappa 0.210.
    counts = [
        (0, 0, 0, 0, 14),
        (0, 2, 6, 4, 2),
        (0, 0, 3, 5, 6),
        (0, 3, 9, 2, 0),
        (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0),
        (3, 2, 6, 3, 0),
        (2, 5, 3, 2, 2),
        (6, 5, 2, 1, 0),
        (0, 2, 2, 3, 7),
    ]
    rows = [[label for label, count in enumerate(row) for _ in range(count)] for row in counts]
    assert stats.fleiss(rows) == pytest.approx(0.210, abs=5e-4)
    assert stats.fleiss([["a", "a"], ["a", "a"]]) is None


def votes(draw: Random, weights: tuple[float, float, float]) -> tuple[Vote, Vote]:
    forward, backward = draw.choices(VOTES, weights, k=2)
    return forward, backward


def true_rate(weights: tuple[float, float, float], judges: int) -> float:
    """The expected score of a prompt's outcome when each judge votes by these weights in both orders."""
    expected = 0.0
    for cast in product(range(3), repeat=2 * judges):
        chance = math.prod(weights[vote] for vote in cast)
        total = sum((cast[i] == cast[i + 1]) * (1, -1, 0)[cast[i]] for i in range(0, 2 * judges, 2))
        expected += chance * (1 + (total > 0) - (total < 0)) / 2
    return expected


@pytest.mark.parametrize(
    ("weights", "judges", "prompts"),
    [((0.75, 0.2, 0.05), 1, 40), ((0.6, 0.25, 0.15), 2, 25), ((0.9, 0.1, 0.0), 2, 60), ((0.4, 0.4, 0.2), 1, 30)],
)
def test_the_interval_covers_the_truth_of_a_known_better_model(
    weights: tuple[float, float, float], judges: int, prompts: int
) -> None:
    draw = Random(1)
    truth = true_rate(weights, judges)
    covered = 0
    for _ in range(RUNS):
        ballots = [
            Ballot(judge, 0, 1, prompt, 0, *votes(draw, weights))
            for prompt in range(prompts)
            for judge in range(judges)
        ]
        found = evidence.win_rates(evidence.of_ballots(ballots))[0]
        covered += found.low <= truth <= found.high
    # Three standard errors below; ties make it conservative, so there is no upper bound.
    assert covered / RUNS >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / RUNS)


def test_without_ties_the_interval_covers_at_its_nominal_rate_and_no_more() -> None:
    draw = Random(2)
    covered = 0
    for _ in range(RUNS):
        passed = {
            (model, prompt): float(model == draw.choices((0, 1), (0.7, 0.3))[0])
            for prompt in range(50)
            for model in (0,)
        }
        passed |= {(1, prompt): 1 - passed[0, prompt] for prompt in range(50)}
        found = evidence.win_rates(evidence.of_checks(passed))[0]
        covered += found.low <= 0.7 <= found.high
    assert covered / RUNS == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize("bias", [0.5, 0.7, 0.95])
def test_a_judge_with_a_position_bias_is_exposed_by_its_flip_rate(bias: float) -> None:
    """It takes the first answer with this probability whatever it says: 0.5 is a coin, which flips as often."""
    draw = Random(3)
    truth = bias**2 + (1 - bias) ** 2  # the same place twice is a change of mind
    covered, exposed, ties = 0, 0, 0
    for _ in range(RUNS):
        whole = [
            Ballot(
                0,
                0,
                1,
                prompt,
                0,
                "a" if draw.random() < bias else "b",
                "b" if draw.random() < bias else "a",
            )
            for prompt in range(40)
        ]
        found = evidence.flips(whole)
        assert found is not None
        covered += found.low <= truth <= found.high
        exposed += found.value >= evidence.SUSPECT_FLIPS
        ties += sum(one.score == 0 for one in whole) / 40 == found.value
    assert covered / RUNS >= 0.92
    assert exposed / RUNS > 0.98
    assert ties == RUNS


@pytest.mark.parametrize(("models", "prompts"), [(2, 12), (2, 40), (3, 30), (5, 30)])
def test_equal_models_end_in_not_enough_evidence(models: int, prompts: int) -> None:
    draw = Random(4)
    names = [f"m{index}" for index in range(models)]
    winners = 0
    for _ in range(RUNS):
        # What a prompt's answers are worth: outcomes of one prompt hang together, as real ones do.
        worth = {prompt: [draw.random() for _ in names] for prompt in range(prompts)}
        outcomes = {
            (a, b): {prompt: (worth[prompt][a] > worth[prompt][b]) * 2 - 1 for prompt in range(prompts)}
            for a in range(models)
            for b in range(a + 1, models)
        }
        found = evidence.verdict(outcomes, names, "judges")
        assert found is not None
        winners += found.winner is not None
        if found.winner is None:
            assert "not enough evidence" in found.words
            assert found.more_prompts is None or found.more_prompts > 0
    # Its expectation is below alpha; a thousand runs may show up to three standard errors more.
    assert winners / RUNS <= stats.ALPHA + 3 * math.sqrt(stats.ALPHA * (1 - stats.ALPHA) / RUNS)


@pytest.mark.parametrize("prompts", range(1, 80))
def test_the_chance_of_a_false_winner_between_two_is_exactly_at_most_alpha(prompts: int) -> None:
    false = 0.0
    for won in range(prompts + 1):
        p = min(1.0, 2 * stats.beats(max(won, prompts - won), min(won, prompts - won)))
        false += math.comb(prompts, won) / 2**prompts * (p <= stats.ALPHA)
    assert false <= stats.ALPHA


def test_two_equally_good_models_over_a_bad_one_do_not_make_a_winner() -> None:
    draw = Random(5)
    winners = 0
    for _ in range(RUNS):
        outcomes = {
            (0, 1): {prompt: draw.choice((1, -1)) for prompt in range(30)},
            (0, 2): dict.fromkeys(range(30), 1),
            (1, 2): dict.fromkeys(range(30), 1),
        }
        found = evidence.verdict(outcomes, ["x", "y", "z"], "judges")
        winners += found is not None and found.winner is not None
    assert winners / RUNS <= stats.ALPHA


def test_the_number_of_prompts_promised_finds_the_better_model() -> None:
    draw = Random(6)
    needed = stats.trials_needed(0.7, alpha=stats.ALPHA / 2)
    assert needed is not None
    found = 0
    for _ in range(RUNS):
        outcomes = {(0, 1): {prompt: draw.choices((1, -1), (0.7, 0.3))[0] for prompt in range(needed)}}
        verdict = evidence.verdict(outcomes, ["good", "bad"], "judges")
        assert verdict is not None
        found += verdict.winner == "good"
    assert found / RUNS == pytest.approx(0.8, abs=0.05)


@pytest.fixture
def told() -> Callable[[int, int, int], str]:
    def words(won: int, lost: int, tied: int) -> str:
        signs = [1] * won + [-1] * lost + [0] * tied
        found = evidence.verdict({(0, 1): dict(enumerate(signs))}, ["x", "y"], "judges")
        assert found is not None
        return found.words

    return words


def test_the_verdict_says_what_it_rests_on(told: Callable[[int, int, int], str]) -> None:
    assert (
        told(18, 2, 0)
        == "x is better by the judges: it won 18, lost 2 and tied 0 of 20 prompt(s) (sign test, p < 0.001)"
    )
    assert told(1, 0, 0) == (
        "not enough evidence that any model is better by the judges: x leads, but it won 1, lost 0 and tied 0 of 1 "
        "prompt(s) (sign test, p = 1). About 95 more prompt(s) would probably settle it if things go on like this"
    )
    assert "are level, each won 2 and 1 were ties" in told(2, 2, 1)
    assert told(300, 300, 0).endswith("would probably have shown by now: take them as equals")


def test_without_an_outcome_there_is_no_verdict() -> None:
    assert evidence.verdict({}, ["x", "y"], "judges") is None


def test_samples_and_judges_of_one_prompt_count_once() -> None:
    ballots = [Ballot(judge, 0, 1, 0, sample, "a", "a") for judge in range(3) for sample in range(20)]
    assert evidence.of_ballots(ballots) == {(0, 1): {0: 1}}
    assert evidence.win_rates(evidence.of_ballots(ballots))[0].n == 1


def test_a_verdict_that_turns_with_the_order_is_a_tie_and_half_a_verdict_none() -> None:
    assert [Ballot(0, 0, 1, 0, 0, *pair).score for pair in product(VOTES, repeat=2)] == [1, 0, 0, 0, -1, 0, 0, 0, 0]
    assert Ballot(0, 0, 1, 0, 0, "a", None).score is None


def test_judges_agreement_is_cohens_for_two_and_fleiss_for_more() -> None:
    def ballots(*scores: tuple[str, ...]) -> list[Ballot]:
        return [
            Ballot(judge, 0, 1, prompt, 0, vote, vote)  # type: ignore[arg-type]  # letters of the test
            for prompt, row in enumerate(scores)
            for judge, vote in enumerate(row)
        ]

    two = ballots(("a", "a"), ("b", "b"), ("a", "b"), ("b", "b"))
    kappa, name = evidence.agreement(two, 2)
    assert (kappa, name) == (0.5, "cohen")
    three = ballots(("a", "a", "a"), ("b", "b", "b"), ("tie", "tie", "tie"))
    kappa, name = evidence.agreement(three, 3)
    assert (kappa, name) == (1.0, "fleiss")
    assert evidence.agreement(ballots(("a",), ("b",)), 1) == (None, None)
