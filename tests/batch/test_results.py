"""The results file: what is in it counts, what a kill has cut does not, and one process writes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.batch.results import Results
from mcp_llm.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from pathlib import Path


def ok(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "status": "ok", "response": "x", **more}


FAILED = {"id": "b", "status": "error", "error": {"kind": "timeout", "message": "late"}}


def test_answers_are_kept_and_failures_come_again(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with Results.open(path) as results:
        for record in (ok("a", words="\u2028 é"), FAILED, ok("c")):
            results.append(record)
        assert results.done == {"a", "c"}
    assert os.name == "nt" or path.stat().st_mode & 0o777 == 0o600
    with Results.open(path) as results:
        assert results.done == {"a", "c"}
        results.append(ok("b"))
    lines = path.read_bytes().split(b"\n")
    assert [json.loads(line) for line in lines if line] == [ok("a", words="\u2028 é"), ok("c"), ok("b")]
    assert [one.name for one in tmp_path.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize("name", [".out.jsonl.new", f".out.jsonl.{os.getpid()}"])
def test_what_a_kill_has_left_beside_the_file_is_in_nobodys_way(tmp_path: Path, name: str) -> None:
    """In a container the next process often has the same number."""
    path = tmp_path / "out.jsonl"
    (tmp_path / name).write_bytes(b"half")
    with Results.open(path) as results:
        results.append(ok("a"))
    assert path.read_bytes() == json.dumps(ok("a")).encode() + b"\n"


def test_a_line_that_a_kill_has_cut_is_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    whole = json.dumps(ok("a")).encode() + b"\n"
    path.write_bytes(whole + whole[:20])
    with Results.open(path) as results:
        assert results.done == {"a"}
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content", [b"# My notes\nimportant\n", b'{"name": 1}\n{"id": 1, "status": "ok"}\n', b"[1]\n\n"]
)
def test_a_file_that_is_no_results_file_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.md"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="none is overwritten"), Results.open(path):
        pass
    assert path.read_bytes() == content
    assert [one.name for one in tmp_path.iterdir() if not one.name.endswith(".lock")] == ["notes.md"]


@pytest.mark.parametrize("mine", [b'"a prompt"', b"notes", b'{"id": "a", "prompt": "x"}', b'{"id":"a"', b"5", b"[1]"])
def test_one_line_without_an_end_that_is_somebodys_own_is_not_taken_for_a_cut_one(tmp_path: Path, mine: bytes) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(mine)
    with pytest.raises(InvalidInput, match=r"line 1 of in\.jsonl is no result"), Results.open(path):
        pass
    assert path.read_bytes() == mine


@pytest.mark.parametrize("cut", range(1, 12))
def test_wherever_a_kill_cuts_the_first_line_it_is_taken_out(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(json.dumps(ok("a")).encode()[:cut])
    with Results.open(path) as results:
        assert results.done == set()
    assert path.read_bytes() == b""


@pytest.mark.skipif(os.name == "nt", reason="devices and links as POSIX has them")
def test_what_is_no_regular_file_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(InvalidInput, match="pipe is no file that can be gone on with"), Results.open(path):
        pass
    assert path.is_fifo()


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_stays_one_and_the_file_behind_it_is_written(tmp_path: Path) -> None:
    path, behind = tmp_path / "out.jsonl", tmp_path / "elsewhere.jsonl"
    path.symlink_to(behind)
    with Results.open(path) as results:
        results.append(ok("a"))
    assert path.is_symlink()
    assert [json.loads(line) for line in behind.read_bytes().splitlines()] == [ok("a")]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidInput, match=r"there is no folder for out\.jsonl"),
        Results.open(tmp_path / "no" / "out.jsonl"),
    ):
        pass


def test_one_process_writes_at_a_time_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    code = (
        "import sys, pathlib\nfrom mcp_llm.batch.results import Results\n"
        "with Results.open(pathlib.Path(sys.argv[1])):\n    print('open', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"open"
        with pytest.raises(Conflict, match=r"another process is writing out\.jsonl"), Results.open(path):
            pass
        other.kill()
        other.wait()
        with Results.open(path) as results:
            assert results.done == set()


def test_where_no_file_can_be_it_is_said_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, words in (("nowhere/x.jsonl", "make it first"), ("file/x.jsonl", "give another file")):
        with pytest.raises(InvalidInput, match=words), Results.open(tmp_path / path):
            pass
