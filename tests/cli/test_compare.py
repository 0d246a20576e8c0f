"""`mcp-llm compare`, run as people run it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

TWO = ("-m", "demo", "-m", "demo:other")


def test_the_table_and_the_answers_are_stdout(run: Run) -> None:
    done = run("compare", "two", "words", *TWO, "--judge", "auto")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.startswith("Not enough evidence that any model is better")
    assert "\n--- demo ---\nThis is mcp-llm's built-in demo" in done.stdout
    assert "\n--- demo:other ---\n" in done.stdout
    assert "judge demo:judge" in done.stdout


def test_json_is_the_whole_result(run: Run, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("one\n\ntwo\n")
    done = run("compare", *TWO, "--prompts", str(prompts), "--expect", '{"contains": "two"}', "--json", "-q")
    found = json.loads(done.stdout)
    assert [(one["model"], one["prompt"], one["check"]["passed"]) for one in found["results"]] == [
        ("demo", 0, False),
        ("demo:other", 0, False),
        ("demo", 1, True),
        ("demo:other", 1, True),
    ]
    assert found["verdict"]["basis"] == "checks"
    kept = run("runs", "read", found["run_id"])
    assert "--- prompt 2 · demo · passed ---" in kept.stdout


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (TWO, 2, "nothing to ask"),
        (("hi", "-m", "demo"), 2, "a comparison takes 2 to 16"),
        (("hi", *TWO, "--prompts", "missing.txt"), 2, "cannot be read"),
        (("hi", "-m", "openai:pro", "-m", "anthropic:pro"), 2, "OPENAI_API_KEY is not set"),
        (("hi", "-m", "openai:pro", "-m", "anthropic:pro", "--budget-usd", "0.001"), 4, "the budget is $0.001"),
        (("hi", "-m", "openai:pro", "-m", "anthropic:pro", "--samples", "50"), 4, "Or give --yes"),
        (("hi", "-m", "openai:pro", "-m", "anthropic:pro", "--samples", "50", "--yes"), 2, "OPENAI_API_KEY is not set"),
    ],
)
def test_exit_codes_say_what_was_wrong(run: Run, args: tuple[str, ...], code: int, words: str) -> None:
    done = run("compare", *args)
    assert (done.returncode, words in done.stderr, done.stdout) == (code, True, ""), done.stderr


def test_a_dry_run_only_quotes(run: Run) -> None:
    done = run("compare", "hi", "-m", "openai:pro", "-m", "anthropic:pro", "--judge", "gemini:pro", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("This comparison makes 2 calls and 2 judgements, about $")
