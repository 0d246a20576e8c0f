"""The search for the canary key finds it wherever it lies, and the session that left it there fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote

import pytest
from canary import KEY, expect, holds, search

LEAKY = """
import os, sqlite3, subprocess, sys
from base64 import b64encode
from pathlib import Path
from canary import KEY, expect

def test_leaves_it_everywhere(tmp_path):
    with sqlite3.connect(tmp_path / "state.db") as base:
        base.execute("CREATE TABLE t (said TEXT)")
        base.execute("INSERT INTO t VALUES (?)", [KEY])
    (tmp_path / "artifact.bin").write_bytes(b"\\0" * 9_000_000 + b64encode(b"Bearer " + KEY.encode()))
    (tmp_path / "big").open("wb").truncate(100 * 2**30)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".env").write_text(KEY)
    expect(tmp_path / "mine").write_text(KEY)
    subprocess.run([sys.executable, "-c", f"print({KEY!r})"], capture_output=True, check=True)
    print("said", KEY)

def test_is_careful(tmp_path):
    (tmp_path / "clean").write_text(KEY[:-1])
"""


def test_a_session_that_leaves_the_key_somewhere_fails_and_says_where(tmp_path: Path) -> None:
    inner = expect(tmp_path)
    (tmp_path / "test_leaky.py").write_text(LEAKY)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "canary",
            "--basetemp",
            inner / "left",
            tmp_path / "test_leaky.py",
        ],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, "2 passed" in done.stdout) == (1, True)
    places = [re.sub(r".*python.*", "python", line) for line in re.findall(r"A KEY LEAKED: (.*)", done.stdout)]
    assert places == [
        "python",
        "Captured stdout call of test_leaky.py::test_leaves_it_everywhere",
        "test_leaves_it_everywhere0/artifact.bin",
        "test_leaves_it_everywhere0/state.db",
    ]
    assert "the canary key was found in 4 places (5 files were searched)" in done.stdout


@pytest.mark.parametrize("around", ["", "a", "ab", "abc", "Basic user:"])
def test_the_key_is_seen_in_whatever_form_it_stands(around: str) -> None:
    said = f"{around}{KEY}{around}"
    assert all(map(holds, (said.encode(), said.upper().encode(), quote(said).encode(), said.encode().hex().encode())))
    assert holds(b64encode(said.encode()))
    assert holds(urlsafe_b64encode(said.encode()))
    assert not holds(f"{around}{KEY[:-1]}{around}".encode())


def test_a_key_across_two_pieces_of_a_file_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canary.PIECE", 256)
    expect(tmp_path)
    (tmp_path / "a").write_bytes(b"x" * 250 + KEY.encode())
    assert search(tmp_path) == ([], 1)
    monkeypatch.setattr("canary.EXPECTED", set())
    assert search(tmp_path) == ([tmp_path / "a"], 1)
