"""A system call that fails, whichever: the store opens again, nothing acknowledged is lost, and it is said in words."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from . import failing, places

if TYPE_CHECKING:
    from pathlib import Path

FAULTS = 2
"""For each command; the goal G1 lets every single call fail."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> places.Place:
    """Where the commands are run."""
    failing.needs_strace()
    return places.make(tmp_path_factory.mktemp("crash") / "place")


@pytest.mark.parametrize("name", places.COMMANDS)
def test_whatever_call_fails_nothing_acknowledged_is_lost_and_it_is_said(
    home: Path, place: places.Place, name: str, report: list[str]
) -> None:
    found = list(places.some(place, name, random.Random(name), FAULTS))
    report.append(f"{name}: {len(found)} system calls made to fail: {', '.join(str(fault) for fault, _ in found)}")
    assert {str(fault): wrong for fault, wrong in found if wrong} == {}
