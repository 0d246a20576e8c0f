"""Boundaries are tried before they are trusted."""

from __future__ import annotations

import shutil

import pytest

from mcp_llm.workflow.bubblewrap import Bubblewrap
from mcp_llm.workflow.monty import Monty

pytestmark = pytest.mark.anyio
needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


async def test_monty_is_a_boundary_too_where_it_is_installed() -> None:
    pytest.importorskip("pydantic_monty")
    assert await Monty().probe() is None


@needs_bwrap
async def test_bubblewrap_is_tried_before_it_is_trusted() -> None:
    assert await Bubblewrap().probe() is None
