"""`mcp-llm batch run`, as people run it: killed, gone on with, and every item answered once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from faults.replies import ok
from faults.server import FaultServer, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

LINES = int(os.environ.get("MCP_LLM_BATCH_LINES", "400"))
"""10,000 for the figure in the README."""
SLOW = Reply(status=200, headers={"content-type": "text/event-stream"}, hang=0, framing="chunked")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def test_lines_in_results_out_and_a_second_run_has_nothing_to_do(run: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('"one"\n{"id": "b", "prompt": "two words"}\n', encoding="utf-8")
    first = run("batch", "run", str(source), "-o", str(out), "-m", "demo")
    assert (first.returncode, first.stdout) == (0, "2 items: 2 answered, free\n"), first.stderr
    assert {one["id"]: one["response"].rpartition(": ")[2] for one in read(out)} == {"1": "one", "b": "two words"}
    again = run("batch", "run", str(source), "-o", str(out), "-m", "demo", "--json")
    assert {name: json.loads(again.stdout)[name] for name in ("answered", "answered_before", "left")} == {
        "answered": 0,
        "answered_before": 2,
        "left": 0,
    }


def test_plain_lines_from_a_pipe_to_stdout(run: Run) -> None:
    given = ("batch", "run", "-", "--text", "--template", "Say {{prompt}}", "-m", "demo", "--at-once", "1")
    done = run(*given, stdin="a\nb\n")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["response"].rpartition(": ")[2] for line in done.stdout.splitlines()] == ["Say a", "Say b"]
    assert "2 items: 2 answered" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="a shell's <(...) is a path there")
def test_a_pipe_that_is_named_as_a_file_is_read(bare: None, tmp_path: Path) -> None:
    reads, writes = os.pipe()
    with open(writes, "wb") as pipe:
        pipe.write(b"a\nb\n")
    given = ("batch", "run", f"/dev/fd/{reads}", "--text", "-m", "demo", "--json", "-q", "-o", str(tmp_path / "o"))
    done = subprocess.run([sys.executable, "-m", "mcp_llm", *given], pass_fds=[reads], capture_output=True, timeout=60)
    os.close(reads)
    assert (done.returncode, json.loads(done.stdout)["answered"]) == (0, 2), done.stderr


def test_the_input_is_not_taken_for_the_results_of_before(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('"one"', encoding="utf-8")
    done = run("batch", "run", str(source), "-o", str(source), "-m", "demo")
    assert (done.returncode, source.read_text(encoding="utf-8")) == (2, '"one"')
    assert "none is overwritten" in done.stderr


def test_a_folder_with_a_template(run: Run, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("ay", encoding="utf-8")
    given = ("batch", "run", "--dir", str(tmp_path / "docs"), "--pattern", "*.md", "--template", "{{stem}}={{content}}")
    assert run(*given, "--dry-run").stdout == "1 items, all well formed\n"
    done = json.loads(run(*given, "-m", "demo", "-q").stdout)
    assert (done["id"], done["response"].rpartition(": ")[2]) == ("a.md", "a=ay")


@pytest.mark.parametrize(
    ("text", "given", "told"),
    [
        ('{"promt": "x"}', (), "no argument `promt`; did you mean `prompt`?"),
        ("", (), "nothing to ask"),
        ('"x"', ("--dir", "."), "and not both"),
        ('"x"', ("-o", "no/such/folder/out.jsonl"), "there is no folder for out.jsonl"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_asked(
    run: Run, tmp_path: Path, text: str, given: tuple[str, ...], told: str
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(text, encoding="utf-8")
    done = run("batch", "run", str(source), "-m", "demo", *given)
    assert done.returncode == 2
    assert told in done.stderr


def test_failed_items_are_told_and_asked_again(run: Run, tmp_path: Path, gateway: Callable[[str], None]) -> None:
    bad = Reply(status=400, body=b'{"error": {"message": "no"}}')
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('"a"\n"b"\n"c"\n', encoding="utf-8")
    with FaultServer([bad, ok("openai", stream=True)]) as server:
        gateway(server.url)
        given = ("batch", "run", str(source), "-o", str(out), "-m", "gate:m", "--at-once", "1")
        first = run(*given)
        assert (first.returncode, first.stdout) == (3, "3 items: 2 answered, 1 failed, cost unknown\n")
        assert [one["status"] for one in read(out)] == ["error", "ok", "ok"]
        second = run(*given)
    assert (second.returncode, second.stdout) == (0, "3 items: 1 answered, 2 before, cost unknown\n")
    assert sorted(one["id"] for one in read(out)) == ["1", "2", "3"]
    assert len(server.requests) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_and_gone_on_with_twice_every_line_is_answered_once(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, gateway: Callable[[str], None]
) -> None:
    """One request in twenty fails: refused for a moment, overloaded, or cut off before its first word."""
    good = ok("openai", stream=True)
    late = {"retry-after": "0"}
    faults = [
        Reply(status=503, headers={**late, "content-type": "application/json"}, body=b'{"error": {"message": "busy"}}'),
        Reply(status=429, headers={**late, "content-type": "application/json"}, body=b'{"error": {"message": "slow"}}'),
        Reply(reset="headers"),
    ]
    script = [faults[number // 20 % 3] if number % 20 == 19 else good for number in range(2 * LINES)]
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(f'{{"id": "{number}", "prompt": "say {number}"}}\n' for number in range(LINES)))
    given = ("batch", "run", str(source), "-o", str(out), "-m", "gate:m", "--at-once", "16")
    with FaultServer([*script, good]) as server:
        gateway(server.url)
        for share in (3, 3 / 2):
            process = start(*given)
            while len(server.requests) < LINES / share:
                server.wait_request(60)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        process = start(*given)
        said, _ = process.communicate(timeout=600)
        while process.returncode == 3:  # three faults in a row at one item are its failure; it is asked again
            process = start(*given)
            said, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    assert said.startswith(f"{LINES} items: ".encode())
    assert sorted(int(one["id"]) for one in read(out)) == list(range(LINES))
    assert {one["response"] for one in read(out)} == {"Hello there"}
    failed = sum(one is not good for one in script[: len(server.requests)])
    assert len(server.requests) - failed <= LINES + 2 * 16  # at each kill what was in flight was paid twice at most


def test_ending_the_run_of_a_submitted_batch_ends_it_at_the_provider(
    run: Run, home: Path, gateway: Callable[[str], None]
) -> None:
    def say(**data: Any) -> Reply:
        return Reply(body=json.dumps({"id": "batch_1", **data}).encode())

    made = (say(), say(status="validating"))
    stopped = (say(status="cancelling"), say(status="cancelled"), say(status="cancelled"))
    with FaultServer([*made, *stopped]) as server:
        gateway(server.url)
        with (home / "providers" / "gate.toml").open("a") as file:
            file.write('batch = "openai"\n')
        submitted = run("batch", "submit", "-m", "gate:m", "-", stdin='"hi"\n')
        run_id = submitted.stdout.strip()
        ended, again = run("runs", "cancel", run_id), run("runs", "cancel", run_id)
    assert (submitted.returncode, ended.returncode, ended.stderr) == (0, 0, f"run {run_id}: cancelled\n")
    assert (again.returncode, again.stderr) == (0, f"run {run_id}: cancelled\n")
    assert [one.target for one in server.requests][2] == "/batches/batch_1/cancel"
