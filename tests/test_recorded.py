"""The Python functions for recorded runs, as a program or a test of somebody's would use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_llm import diff_runs, record_run, replay_run, rerun_agent, run_agent
from mcp_llm.background import opened
from mcp_llm.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
async def closing(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("MCP_LLM_DISCOVER", "0")
    yield
    await opened.close()


@pytest.mark.usefixtures("closing")
async def test_a_recording_is_a_test_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "hello.jsonl"
    await run_agent({"prompt": "say hello", "model": "demo", "agent_id": "hello", "disable_mcp": True})
    await record_run("hello", file)
    for run in ("hello", file, str(file)):
        assert (await replay_run(run)).differences == ()
    again = await rerun_agent(file, model="demo")
    assert again.run_id != "hello"
    compared = await diff_runs(file, again.run_id)
    assert (compared.same, compared.a.run_id, compared.b.run_id) == (True, "hello", again.run_id)


@pytest.mark.usefixtures("closing")
async def test_a_run_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    for asking in (replay_run("nope"), replay_run(tmp_path / "nope"), diff_runs("a", "b"), rerun_agent("nope")):
        with pytest.raises(InvalidInput):
            await asking
