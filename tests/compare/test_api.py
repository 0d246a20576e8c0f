"""`compare_models` and `acompare_models`, as Python code calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import mcp_llm
from mcp_llm.background import background, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _closed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No Service outlives the test's home."""
    monkeypatch.setenv("MCP_LLM_DISCOVER", "0")
    background.close()
    yield
    background.close()


def test_the_sync_function_gives_the_whole_comparison() -> None:
    found = mcp_llm.compare_models("hi", ["demo", "demo:other"], samples=2, judge=True)
    assert isinstance(found, mcp_llm.Compared)
    assert [one.sample for one in found.of("demo")] == [0, 1]
    assert found.verdict is not None
    assert found.verdict.winner is None


@pytest.mark.anyio
async def test_the_async_function_tells_of_each_answer_and_passes_options_on() -> None:
    landed: list[str] = []

    async def take(result: mcp_llm.Generated) -> None:
        landed.append(result.model)

    found = await mcp_llm.acompare_models(
        prompts=["one", "two"], models=["demo", "demo:other"], expect=["x", None], on_result=take, top_p=0.5, extra=1
    )
    await opened.close()
    assert sorted(landed) == ["demo", "demo", "demo:other", "demo:other"]
    assert [one.check.passed if one.check else None for one in found.results] == [False, False, None, None]
