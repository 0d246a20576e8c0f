"""The commands that make media, as a person types them: what is on stdout, what on stderr, how they exit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]


def test_embed_writes_a_line_of_json_for_each_text(run: Run) -> None:
    done = run("embed", "red fish", "tax return", "--dimensions", "8")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["index"], len(row["embedding"])) for row in rows] == [(0, 8), (1, 8)]
    assert "demo" in done.stderr
    assert done.returncode == 0


def test_embed_takes_lines_from_stdin(run: Run) -> None:
    done = run("embed", "--lines", "--json", "-q", stdin="a\n\nb\u2028c\n")
    assert json.loads(done.stdout)["count"] == 2
    assert done.stderr == ""


def test_embed_without_a_text_is_wrong_usage(run: Run) -> None:
    done = run("embed", stdin="")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing to embed" in done.stderr
