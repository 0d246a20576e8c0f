"""`mcp-llm talk`, as people run it, on the demo: words and files in, words and a file out."""

from __future__ import annotations

import io
import os
import wave
from typing import TYPE_CHECKING

import pytest

from mcp_llm.files import sound

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]


def test_words_are_answered_in_words_and_a_file(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "answer.wav"
    done = run("talk", "-m", "demo", "hello", "there", "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("It was told: hello there\n")
    assert "14 / 14 tokens" in done.stderr
    with wave.open(io.BytesIO(out.read_bytes())) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (24_000, 1, 4800)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device here is always full")
def test_a_file_that_cannot_be_written_is_told_before_anybody_talks_or_beside_the_words(
    run: Run, tmp_path: Path
) -> None:
    early = run("talk", "-m", "demo", "hello", "-o", str(tmp_path / "nowhere" / "answer.wav"))
    assert (early.returncode, early.stdout) == (2, "")
    assert "there is no folder" in early.stderr
    full = tmp_path / "full.wav"
    full.symlink_to("/dev/full")
    late = run("talk", "-m", "demo", "hello", "-o", str(full))
    assert (late.returncode, late.stdout.endswith("It was told: hello\n")) == (1, True)
    assert "cannot be written (No space left on device); its words are above, its voice is lost" in late.stderr


def test_a_recording_is_heard_at_the_models_rate(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.wav").write_bytes(sound.wav(b"\x01\x00" * 2 * 8000, 8000, channels=2))
    done = run("talk", "-m", "demo", "--in", str(tmp_path / "in.wav"))
    assert done.stdout.endswith("It was told: 1.0 s of sound\n"), done.stderr
    (tmp_path / "in.wav").write_bytes(b"no sound at all")
    wrong = run("talk", "-m", "demo", "--in", str(tmp_path / "in.wav"))
    assert wrong.returncode == 2
    assert "WAV" in wrong.stderr


def test_every_line_is_a_turn_of_one_conversation(run: Run) -> None:
    done = run("talk", "-m", "demo", "--text", "-q", stdin="one\n\ntwo\n")
    assert [line.rpartition(": ")[2] for line in done.stdout.splitlines()] == ["one", "two"]
    assert done.stderr == ""


def test_what_excludes_one_another_is_told(run: Run, tmp_path: Path) -> None:
    assert run("talk", "-m", "demo", "--mic", "hello").returncode == 2
