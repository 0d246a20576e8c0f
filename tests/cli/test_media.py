"""The commands that make media, as a person types them: what is on stdout, what on stderr, how they exit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_llm.files import sound

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


def test_image_writes_where_it_is_told_and_else_says_where_it_lies(run: Run, tmp_path: Path) -> None:
    done = run("image", "a red cat", "-o", str(tmp_path / "cat"))
    assert done.stdout == f"{tmp_path / 'cat.png'}\n"
    data = (tmp_path / "cat.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    lies = run("image", "a red cat", "-q").stdout.strip()
    assert Path(lies).read_bytes() == data
    several = run("image", "two", "cats", "-n", "2", "-o", str(tmp_path / "c.png"), "-q")
    assert several.stdout.split() == [str(tmp_path / "c-1.png"), str(tmp_path / "c-2.png")]
    assert run("image", "x", "-o", str(tmp_path / "cat.png" / "y")).returncode == 1


def test_transcribe_writes_words_or_subtitles(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(sound.wav(bytes(16_000), 8000))
    assert run("transcribe", str(file), "-q").stdout.startswith("This is mcp-llm's built-in demo, no model.")
    srt = run("transcribe", str(file), "--srt", "-q").stdout
    assert srt.startswith("1\n00:00:00,000 --> 00:00:01,000\nThis is")
    assert run("transcribe", str(tmp_path / "no.wav")).returncode == 2


def test_speak_writes_a_file_or_into_a_pipe(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "hi.wav"
    assert run("speak", "Good", "morning", "-o", str(file), "-q").stdout == f"{file}\n"
    assert sound.duration(file.read_bytes()) == 0.25
    assert run("speak", stdin="").returncode == 2
