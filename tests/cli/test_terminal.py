"""What a person reads: lines no wider than the terminal, money without exponents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mcp_llm.cli.terminal import fold
from mcp_llm.types.result import dollars

if TYPE_CHECKING:
    from pathlib import Path


def test_long_lines_end_with_a_word_and_short_ones_stay() -> None:
    text = "one two  three\n" + "word " * 12
    assert fold(text, None) == text
    assert fold(text, 40, indent="  ").split("\n") == [
        "one two  three",
        "word word word word word word word word",
        "  word word word word",
    ]


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (0.0, "$0"),
        (0.5, "$0.50"),
        (0.000005, "$0.000005"),
        (0.0123, "$0.0123"),
        (1234.5, "$1,234.50"),
        (1.5e-7, "$0.00000015"),
    ],
)
def test_money_has_cents_and_no_exponent(usd: float, shown: str) -> None:
    assert dollars(usd) == shown


@pytest.mark.skipif(os.name == "nt", reason="a shell closes streams there")
def test_streams_that_were_closed_before_are_refused_or_silent_and_no_file_takes_their_place(
    bare: None, tmp_path: Path
) -> None:
    def closed(streams: str, words: str) -> subprocess.CompletedProcess[str]:
        line = f'exec "$0" -m mcp_llm {words} {streams}'
        return subprocess.run(["sh", "-c", line, sys.executable], capture_output=True, text=True, timeout=60)

    mute = closed(">&-", "ask -m demo hi")
    assert (mute.returncode, mute.stderr.splitlines()[-1]) == (
        1,
        "mcp-llm: the answer cannot be written to stdout: Bad file descriptor",
    )
    deaf = closed("2>&-", "ask -m demo hi")
    assert (deaf.returncode, deaf.stdout.rpartition(": ")[2]) == (0, "hi\n")
    (tmp_path / "in.jsonl").write_text('"one"\n')
    kept = closed("<&- >&- 2>&-", f"batch run -m demo {tmp_path}/in.jsonl -o {tmp_path}/out.jsonl")
    assert kept.returncode == 1  # the summary could not be told
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ["1"]
