"""Every way to misbehave that the hostile server knows: none stops the loop, none fills memory, all come to an end."""

from __future__ import annotations

import anyio
import pytest
from toolsets import hostile

pytestmark = pytest.mark.anyio

WAYS: tuple[hostile.Way, ...] = ("stdio", "http")
EVERY = [(way, mode) for way in WAYS for mode in hostile.modes(way)]


def test_the_modes_are_those_of_the_server() -> None:
    assert len(EVERY) == len(set(EVERY)) >= 40
    assert {("stdio", "endless"), ("stdio", "schema-odd"), ("http", "gzipbomb")} <= set(EVERY)


@pytest.mark.parametrize(("way", "mode"), EVERY)
async def test_no_way_to_misbehave_stalls_the_loop_or_fills_memory(way: hostile.Way, mode: str) -> None:
    with anyio.fail_after(60):
        cost = await hostile.play(way, mode, start_s=2, call_s=0.5)
    assert cost.stall < 0.25
    assert cost.growth < 64 * hostile.MIB
