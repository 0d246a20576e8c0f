"""Runs as files, made again and compared, from the shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.types import events

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def agent(run: Any) -> str:
    """The id of a run of the demo."""
    done = run("agent", "-m", "demo", "--no-servers", "--json", "say hello")
    run_id: str = json.loads(done.stdout)["run_id"]
    return run_id


def test_a_run_is_recorded_once_and_replayed_from_its_file_elsewhere(run: Any, agent: str, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    written, refused = run("runs", "record", agent, "-o", str(file)), run("runs", "record", agent, "-o", str(file))
    here, piped = run("runs", "replay", agent), run("runs", "record", agent)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    there = run("runs", "replay", str(file), "--json", MCP_LLM_HOME=str(elsewhere))
    assert (written.returncode, written.stdout) == (0, "")
    assert file.stat().st_mode & 0o077 == 0
    assert (refused.returncode, "--force replaces it" in refused.stderr) == (2, True)
    assert piped.stdout == file.read_text(encoding="utf-8")
    ended = f"run {agent}: 1 of 1 model calls, 0 tool calls; it ended with answer (stop)"
    assert (here.returncode, here.stdout) == (0, f"identical  {ended}\n")
    assert (there.returncode, [one["identical"] for one in json.loads(there.stdout)]) == (0, [True])


def test_a_recording_that_goes_another_way_now_fails_as_a_test_would(run: Any, agent: str, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    file.write_text(run("runs", "record", agent).stdout.replace('"turns":1', '"turns":2'), encoding="utf-8")
    done = run("runs", "replay", agent, str(file))
    assert done.returncode == 1
    assert done.stdout.split("\n")[2:] == ["  at the end: turns", "    recorded  2", "    now       1", ""]


def test_an_imported_run_is_read_like_any_other(run: Any, agent: str, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    run("runs", "record", agent, "-o", str(file))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    first, second, read = (
        run("runs", *words, MCP_LLM_HOME=str(elsewhere))
        for words in (("import", str(file)), ("import", str(file)), ("read", agent))
    )
    assert (first.stdout, first.stderr, second.stderr) == (f"{agent}\n", "", "it was here already\n")
    assert read.stdout == run("runs", "read", agent).stdout


def test_two_runs_are_compared_as_a_table_and_as_json(run: Any, agent: str, tmp_path: Path) -> None:
    other = json.loads(run("agent", "-m", "demo", "--no-servers", "--json", "say good bye").stdout)["run_id"]
    same, table, data = (
        run("runs", "diff", agent, agent),
        run("runs", "diff", agent, other),
        run("runs", "diff", agent, other, "--json"),
    )
    assert (same.returncode, same.stdout.split("\n")[-2]) == (0, "They say and do the same.")
    assert table.returncode == data.returncode == 1
    assert "step 0: request: message 1" in table.stdout
    assert json.loads(data.stdout)["parts_at"] == 0


def test_the_schema_that_is_printed_is_the_published_one(run: Any) -> None:
    done = run("runs", "schema")
    assert (done.returncode, json.loads(done.stdout)) == (0, events.schema())


@pytest.mark.parametrize("words", [("record", "nope"), ("replay", "nope"), ("diff", "nope", "nope")])
def test_what_is_not_there_is_said(run: Any, words: tuple[str, ...]) -> None:
    done, missing = run("runs", *words), run("runs", "import", "none.jsonl")
    assert (done.returncode, "there is no run 'nope'" in done.stderr) == (2, True)
    assert (missing.returncode, "none.jsonl cannot be read" in missing.stderr) == (2, True)
