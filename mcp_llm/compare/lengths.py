"""Does length win? A permutation test over prompts, with and without what the two models have in common. Pure.

Verdicts of one prompt hang together, so a prompt is permuted as a whole. Permutation p-values count the observed order
among the drawn ones (Phipson and Smyth (2010) Stat. Appl. Genet. Mol. Biol. 9:39), so they are never 0.
"""

from __future__ import annotations

import math
import random
from itertools import product
from typing import TYPE_CHECKING, Final

from .result import LengthBias
from .stats import ALPHA

if TYPE_CHECKING:
    from collections.abc import Mapping

EXACT: Final = 12
"""Prompts up to which all sign flips are tried."""
DRAWS: Final = 1999
WORK: Final = 1_000_000
"""Additions that a test may take."""
FEWEST: Final = 6
"""Prompts below which nothing is said within pairs of models."""


def length_bias(items: Mapping[tuple[int, int], Mapping[int, tuple[float, int]]]) -> LengthBias | None:
    """From pair of models -> prompt -> (log of the length ratio, +1 won, -1 lost, 0 tied); None if none decided."""
    sums: dict[int, int] = {}
    longer = decided = 0
    for prompts in items.values():
        for prompt, (ratio, outcome) in prompts.items():
            if outcome and ratio:
                sign = outcome if ratio > 0 else -outcome
                decided += 1
                longer += sign > 0
                sums[prompt] = sums.get(prompt, 0) + sign
    if not decided:
        return None
    p = flip_p(list(sums.values()))
    within, within_p = _within(items)
    suspect = (p <= ALPHA and longer * 2 > decided) or (within_p is not None and within_p <= ALPHA)
    return LengthBias(
        longer_won=longer / decided, decided=decided, p=p, within=within, within_p=within_p, suspect=suspect
    )


def flip_p(values: list[int]) -> float:
    """Two-sided p of "the sum is 0 but for chance" when each value could as well have had the other sign."""
    observed = abs(sum(values))
    if len(values) <= EXACT:
        orders = list(product((1, -1), repeat=len(values)))
        reached = sum(
            abs(sum(sign * value for sign, value in zip(signs, values, strict=True))) >= observed for signs in orders
        )
        return reached / len(orders)
    draw = random.Random(0)  # the same answers give the same figure
    draws = _draws(len(values))
    reached = sum(
        abs(sum(value if draw.getrandbits(1) else -value for value in values)) >= observed for _ in range(draws)
    )
    return (reached + 1) / (draws + 1)


def _within(items: Mapping[tuple[int, int], Mapping[int, tuple[float, int]]]) -> tuple[float | None, float | None]:
    """Correlation of the two after each pair's own means are taken off, and its p over permutations of the prompts."""
    prompts = sorted({prompt for found in items.values() for prompt in found})
    if len(prompts) < FEWEST:
        return None, None
    place = {prompt: index for index, prompt in enumerate(prompts)}
    ratios: list[list[float]] = []
    outcomes: list[list[float]] = []
    for found in items.values():
        if len(found) < FEWEST:
            continue
        mean_ratio = math.fsum(ratio for ratio, _ in found.values()) / len(found)
        mean_outcome = sum(outcome for _, outcome in found.values()) / len(found)
        row, other = [0.0] * len(prompts), [0.0] * len(prompts)
        for prompt, (ratio, outcome) in found.items():
            row[place[prompt]], other[place[prompt]] = ratio - mean_ratio, outcome - mean_outcome
        ratios.append(row)
        outcomes.append(other)
    spread = math.sqrt(
        math.fsum(value * value for row in ratios for value in row)
        * math.fsum(value * value for row in outcomes for value in row)
    )
    if spread < 1e-9:
        return None, None

    # One matrix product beforehand: a permutation then costs one addition for each prompt.
    products = [
        [math.fsum(row[i] * other[j] for row, other in zip(ratios, outcomes, strict=True)) for j in range(len(prompts))]
        for i in range(len(prompts))
    ]
    observed = math.fsum(products[i][i] for i in range(len(prompts)))
    draw, order = random.Random(0), list(range(len(prompts)))
    draws, reached = _draws(len(prompts)), 0
    for _ in range(draws):
        draw.shuffle(order)
        reached += abs(sum(products[i][j] for i, j in enumerate(order))) >= abs(observed) - 1e-9
    return observed / spread, (reached + 1) / (draws + 1)


def _draws(size: int) -> int:
    return max(199, min(DRAWS, WORK // size))
