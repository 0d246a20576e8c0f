"""Readers of other people's bytes: whatever comes, they answer in our own words; what broke one once is held here."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import pytest
from fuzz.mutate import inputs
from fuzz.target import FOUND, targets
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

    from fuzz.target import Target

TARGETS = targets()
RUNS = 400
CASES = sorted(path for path in FOUND.glob("*/*"))
GROWING = [
    pytest.param(target, at, id=f"{target.name}-{at}") for target in TARGETS.values() for at in range(len(target.grows))
]
QUICK = 0.02


@pytest.mark.parametrize("name", TARGETS)
def test_changed_samples_are_read_or_refused_in_our_own_words(name: str) -> None:
    target = TARGETS[name]
    for data in inputs(target, RUNS if target.quick else RUNS // 20):
        target.run(data)


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.quick])
def test_any_bytes_are_read_or_refused_in_our_own_words(name: str) -> None:
    target = TARGETS[name]
    pieces = st.sampled_from([*target.words, *target.samples]) if target.words else st.binary(max_size=8)

    @settings(max_examples=60)
    @given(st.binary(max_size=300) | st.lists(pieces | st.binary(max_size=4), max_size=12).map(b"".join))
    def check(data: bytes) -> None:
        target.run(data)

    check()


@pytest.mark.parametrize("path", CASES, ids=[f"{path.parent.name}-{path.name}" for path in CASES])
def test_what_broke_a_reader_once_does_not_break_it_again(path: Path) -> None:
    TARGETS[path.parent.name].run(path.read_bytes())


def test_every_found_input_is_of_a_target() -> None:
    assert {path.name for path in FOUND.iterdir()} <= TARGETS.keys()


@pytest.mark.parametrize(("target", "at"), GROWING)
def test_time_grows_with_the_input_and_not_with_its_square(target: Target, at: int) -> None:
    """Ten times the bytes may take some forty times the CPU time on a busy machine; a square would take a hundred."""
    target.run(target.grown(at, 100))  # what is imported and compiled at first
    # What is quick at that size is nobody's square.
    if (large := cost(target, at, target.large)) > QUICK:
        small = cost(target, at, target.large // 10)
        assert large < 40 * small, f"{target.large} bytes: {large:.4f} s of CPU, a tenth of them: {small:.4f} s"


def cost(target: Target, at: int, size: int) -> float:
    """Seconds of CPU for so many bytes, the best of at most three."""
    data, best = target.grown(at, size), float("inf")
    gc.disable()  # it looks through all there is the more often, the more is made
    try:
        for _ in range(3):
            began = time.process_time()
            target.run(data)
            best = min(best, time.process_time() - began)
            if best < QUICK and size == target.large:
                break
    finally:
        gc.enable()
    return best
