"""The statistics of paired comparisons: intervals, tests, sample sizes, agreement of raters. Pure, no judgement.

References: Wilson (1927) J. Am. Stat. Assoc. 22:209; Dixon and Mood (1946) ibid. 41:557 for the sign test; Noether
(1987) ibid. 82:645 for its sample size; Cohen (1960) Educ. Psychol. Meas. 20:37; Fleiss (1971) Psychol. Bull. 76:378.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

ALPHA: Final = 0.05
POWER: Final = 0.8
EXACT: Final = 200
"""Comparisons above which a normal approximation is within a hundredth or two."""
MOST_TRIALS: Final = 5000
"""Decided prompts beyond which a difference is too small to be worth looking for."""


def quantile(share: float) -> float:
    """The standard normal's quantile."""
    from statistics import NormalDist  # takes 20 ms to load, which serving need not

    return NormalDist().inv_cdf(share)


def wilson(successes: float, n: int, *, alpha: float = ALPHA) -> tuple[float, float]:
    """Wilson's score interval of a proportion.

    `successes` may be fractional: for scores in [0, 1] (a tie counts one half) the variance is at most that of a
    proportion with the same mean, so the interval is conservative.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    z = quantile(1 - alpha / 2)
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def at_least(successes: int, n: int, chance: float = 0.5) -> float:
    """P(X >= successes) for X ~ Binomial(n, chance), exact up to rounding."""
    if successes <= 0:
        return 1.0
    if successes > n:
        return 0.0
    if chance in (0.0, 1.0):
        return chance
    logs = (math.log(chance), math.log1p(-chance), math.lgamma(n + 1))
    return min(
        1.0,
        math.fsum(
            math.exp(logs[2] - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * logs[0] + (n - k) * logs[1])
            for k in range(successes, n + 1)
        ),
    )


def sign_test(won: int, lost: int) -> float:
    """Two-sided exact sign test of "as often won as lost"; ties have been left out. 1 without any decision."""
    n = won + lost
    return min(1.0, 2 * at_least(max(won, lost), n)) if n else 1.0


def beats(won: int, lost: int) -> float:
    """One-sided exact sign test: how probable so many wins are for a model that is no better."""
    return at_least(won, won + lost) if won + lost else 1.0


def trials_needed(share: float, *, alpha: float, power: float = POWER) -> int | None:
    """Decided comparisons for a one-sided exact sign test to find a model that wins this share of them.

    `alpha` is the one-sided level. Noether's normal approximation; where that is at most EXACT, the first size from a
    fifth below it whose exact power suffices. None above MOST_TRIALS, or when there is nothing to find.
    """
    if share <= 0.5:
        return None
    z_alpha, z_power = quantile(1 - alpha), quantile(power)
    about = ((z_alpha / 2 + z_power * math.sqrt(share * (1 - share))) / (share - 0.5)) ** 2
    if about > MOST_TRIALS:
        return None
    if about > EXACT:
        return math.ceil(about)
    n = max(1, int(about * 0.8))
    critical = _critical(n, alpha)
    while at_least(critical, n, share) < power:
        n += 1
        # The critical value grows by one or stays.
        if at_least(critical, n) > alpha:
            critical += 1
    return n


def _critical(n: int, alpha: float) -> int:
    """The fewest wins of n that are significant; n + 1 where none are."""
    low, high = n // 2, n + 1
    while low < high:
        middle = (low + high) // 2
        if at_least(middle, n) <= alpha:
            high = middle
        else:
            low = middle + 1
    return low


def cohen(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's kappa of two raters of the same items; None when chance alone gives full agreement, or without items."""
    n = len(first)
    if n != len(second):
        raise ValueError("the raters did not rate the same items")
    if not n:
        return None
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    ones, others = Counter(first), Counter(second)
    chance = sum(ones[label] * others[label] for label in ones) / n**2
    return None if math.isclose(chance, 1) else (observed - chance) / (1 - chance)


def fleiss(ratings: Sequence[Sequence[Hashable]]) -> float | None:
    """Fleiss' kappa; one row of labels per item, equally many raters each. None as in `cohen`."""
    if not ratings:
        return None
    raters = len(ratings[0])
    if raters < 2 or any(len(row) != raters for row in ratings):
        raise ValueError("every item needs the same number of raters, two at least")
    totals: Counter[Hashable] = Counter()
    agreed = 0.0
    for row in ratings:
        counts = Counter(row)
        totals.update(counts)
        agreed += (sum(count * count for count in counts.values()) - raters) / (raters * (raters - 1))
    n = len(ratings)
    observed = agreed / n
    chance = sum((count / (n * raters)) ** 2 for count in totals.values())
    return None if math.isclose(chance, 1) else (observed - chance) / (1 - chance)
