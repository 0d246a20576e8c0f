"""Boundaries are tried before they are trusted."""

from __future__ import annotations

import os
import shutil

import anyio
import pytest

from mcp_llm.workflow.bubblewrap import PROBE, Bubblewrap
from mcp_llm.workflow.monty import Monty

pytestmark = pytest.mark.anyio
needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


async def test_monty_is_a_boundary_too_where_it_is_installed() -> None:
    pytest.importorskip("pydantic_monty")
    assert await Monty().probe() is None


@needs_bwrap
async def test_bubblewrap_is_tried_before_it_is_trusted() -> None:
    assert await Bubblewrap().probe() is None


@needs_bwrap
async def test_a_step_closes_no_descriptor_that_is_somebody_elses_by_then() -> None:
    taken: list[int] = []

    async def take() -> None:
        for _ in range(64):
            taken.append(os.open(os.devnull, os.O_RDONLY))
            await anyio.sleep(0.005)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        ran = await Bubblewrap().run("result = 1", {}, PROBE)
        tasks.cancel_scope.cancel()
    gone = []
    for one in taken:
        try:
            os.close(one)
        except OSError:
            gone.append(one)
    assert (ran.result, len(taken) > 1, gone) == (1, True, [])
