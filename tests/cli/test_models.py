"""`mcp-llm models`: the list, and fetching a file that is then asked."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from canary import KEY
from faults.server import FaultServer, Reply

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]


def test_words_are_searched_for_with_and_without_list(run: Run) -> None:
    assert "demo:demo" in run("models", "demo").stdout
    assert run("models", "demo").stdout == run("models", "list", "demo").stdout
    assert "no model fits" in run("models", "nothing-like-this").stderr


def test_a_file_is_pulled_and_asked(run: Run, home: Path, tmp_path: Path) -> None:
    tiny = pytest.importorskip("llm.tiny", reason="the packages gguf and numpy are not there")
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    tiny.write(tmp_path / "made.gguf")
    data = (tmp_path / "made.gguf").read_bytes()
    hashed = {"content-type": "application/octet-stream", "x-linked-etag": hashlib.sha256(data).hexdigest()}
    with FaultServer([Reply(headers=hashed, body=data)]) as server:
        (home / "mcp_llm.toml").write_text(f'[gguf]\nhub = "{server.url}"\n')
        done = run("models", "pull", "some/repo/deep/made.gguf", "--as", "small", HF_TOKEN=KEY)
        assert (done.returncode, done.stdout) == (0, "gguf:small\n"), done.stderr
        assert "its hash was checked" in done.stderr
        (request,) = server.requests
    assert request.target == "/some/repo/resolve/main/deep/made.gguf"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    asked = run("ask", "-m", "gguf:small", "--max-tokens", "4", "hello")
    assert asked.returncode == 0, asked.stderr
    assert "gguf:small" in run("models").stdout


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("onlyname.gguf", "is no OWNER/REPOSITORY/FILE.gguf"),
        ("a/b/model.bin", "names no .gguf file"),
        ("https://127.0.0.1:9/x.gguf", "no public address"),
        ("https://[bad/x.gguf", "the URL cannot be read: write it as https://host/path/NAME.gguf"),
        ("a/b/..gguf", "names no .gguf file"),
    ],
)
def test_what_cannot_be_pulled_is_told(run: Run, what: str, told: str) -> None:
    done = run("models", "pull", what)
    assert done.returncode == 2
    assert told in done.stderr.replace("\n", " ")


def test_models_of_other_operations_are_listed_with_their_own_prices(run: Run) -> None:
    found = json.loads(run("models", "--for", "transcribe", "--all", "--json").stdout)
    rows = {row["model"]: row for row in found["models"]}
    assert found["default"] == "demo:demo"
    assert (rows["openai:gpt-transcribe"]["piece_usd"], rows["openai:gpt-transcribe"]["piece"]) == (0.27, "hour")
    assert "openai:gpt-6.1-sol" not in rows
    assert "0.14/second" in run("models", "--for", "video", "--all").stdout
