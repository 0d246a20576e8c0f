"""A home of its own for every test of the Python functions, and nothing left open behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_llm.background import background, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _fresh(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test has its own home, so what the background loop has open ends with the test."""
    monkeypatch.setenv("MCP_LLM_DISCOVER", "0")
    yield
    background.close()


@pytest.fixture
async def closing() -> AsyncIterator[None]:
    """The same for the test's own loop."""
    yield
    await opened.close()
