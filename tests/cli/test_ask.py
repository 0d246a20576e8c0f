"""`mcp-llm ask`, run as people run it."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from faults.replies import ok, sse
from faults.server import FaultServer, Reply

from mcp_llm.types.events import decode

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]
    Start = Callable[..., subprocess.Popen[bytes]]
    Gateway = Callable[[str], None]

NOTICE = "This is mcp-llm's built-in demo, not a language model."
EVIL = "\x1b]52;c;cm0gLXJmIH4=\x07\x1b[1A\x1b[2K$ ok \u202egnp\x9b"


def test_the_answer_is_stdout_and_everything_else_is_stderr(cold: Run) -> None:
    done = cold("ask", "two", "words", stdin="and three more\n", NO_COLOR="1")
    assert done.returncode == 0
    assert done.stdout == f"{NOTICE} It was given 5 words: two words\n\nand three more\n"
    assert done.stderr.startswith("[demo:demo · ~5 in / ")
    assert done.stderr.count("\n") == 1

    only = cold("ask", "-", "-q", stdin="\ufeffjust this")
    assert (only.stdout, only.stderr) == (f"{NOTICE} It was given 2 words: just this\n", "")


def test_json_is_the_whole_result_and_unknown_is_null(run: Run) -> None:
    done = run("ask", "--json", "--effort", "low", "--option", 'metadata={"a": 1}', "hi")
    result = json.loads(done.stdout)
    assert result["response"] == f"{NOTICE} It was given 1 word: hi"
    assert result["thinking"].startswith("The demo does not think")
    assert result["cost"] == {"usd": 0.0, "source": "local", "priced_at": None}
    assert (result["usage"]["cached"], result["thread"], result["parsed"]) == (None, None, None)
    assert done.stderr == ""

    lines = [json.loads(line) for line in run("ask", "--jsonl", "--effort", "low", "hi").stdout.splitlines()]
    assert [line["event"] for line in lines[:3]] == ["start", "thinking", "text"]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert [decode(json.dumps(line)).event for line in lines] == [line["event"] for line in lines]
    assert "".join(line.get("text", "") for line in lines) == lines[-1]["result"]["response"]
    assert [line["event"] for line in lines if line["event"] in {"finish", "error"}] == ["finish"]

    failed = run("ask", "--json", "-m", "openai:gpt-x", "hi")
    assert failed.returncode == 2
    assert json.loads(failed.stdout)["error"]["kind"] == "missing_key"
    assert failed.stderr.startswith("mcp-llm: OPENAI_API_KEY is not set")


def test_a_schema_gives_json_that_can_be_piped_on(run: Run, tmp_path: Path) -> None:
    schema = tmp_path / "a.json"
    schema.write_text('{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}')
    done = run("ask", "--schema", str(schema), "hi")
    assert isinstance(json.loads(done.stdout)["n"], int)


def test_a_prompt_file_takes_its_text_from_stdin_and_a_thread_goes_on(run: Run) -> None:
    done = run("ask", "--prompt", "summarize", "--arg", "length=9", "--json", "--thread", "new", stdin="the long text")
    first = json.loads(done.stdout)
    assert "in about 9 words" in first["response"]
    second = json.loads(run("ask", "--json", "--thread", first["thread"], "go on").stdout)
    assert second["thread"] == first["thread"]
    assert second["usage"]["input"] > first["usage"]["input"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("-m", "nope", "hi"), 2, "no provider is known for the model 'nope'"),
        (("-f", "missing.txt", "hi"), 2, "there is no file 'missing.txt'"),
        (("-m", "gate:denied/x", "--budget-usd", "0.01", "hi"), 4, "the price of gate:denied/x is not known"),
        (("-m", "gate:x", "hi"), 3, "HTTP 401"),
        (("-m", "gate:x", "--schema", '{"type": "object", "required": ["a"]}', "hi"), 5, "does not satisfy the schema"),
    ],
)
def test_exit_codes_say_whose_fault_it_was(
    run: Run, gateway: Gateway, args: tuple[str, ...], code: int, words: str
) -> None:
    denied = Reply(status=401, body=b'{"error": {"message": "bad key \\u001b[2J"}}')
    script = [ok("openai", text='{"b": 1}', stream=True)] if code == 5 else [denied]
    with FaultServer(script) as server:
        gateway(server.url)
        done = run("ask", *args)
    assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr
    assert "\x1b" not in done.stderr


def test_a_file_that_is_named_may_lie_anywhere(run: Run, tmp_path: Path, gateway: Gateway) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "note.txt").write_text("seven")
    with FaultServer([ok("openai", text=EVIL, stream=True)]) as server:
        gateway(server.url)
        done = run("ask", "-m", "gate:x", "-f", str(tmp_path / "elsewhere" / "note.txt"), "read it")
        assert (done.returncode, done.stdout) == (0, f"{EVIL}\n"), done.stderr  # into a pipe as it came
        assert "seven" in server.requests[0].body.decode()


def test_the_sources_of_an_answer_are_told_beside_it(run: Run, gateway: Gateway) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "It rains [1]."}, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice], "citations": ["https://a.example"]}).encode()
    with FaultServer([Reply(body=body)]) as server:
        gateway(server.url)
        done = run("ask", "-m", "gate:m", "rain?")
        quiet = run("ask", "-q", "-m", "gate:m", "rain?")
    assert done.stdout == quiet.stdout == "It rains [1].\n"
    assert done.stderr.splitlines()[:2] == ["Sources:", "[1] https://a.example"]
    assert quiet.stderr == ""


def test_ctrl_c_keeps_what_had_arrived_and_closes_the_connection(start: Start, gateway: Gateway) -> None:
    events: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"content": "so far"}}]}]
    body = sse(events)
    hanging = Reply(headers={"content-type": "text/event-stream"}, body=body, framing="chunked", hang=len(body))
    with FaultServer([hanging]) as server:
        gateway(server.url)
        process = start("ask", "-m", "gate:x", "hi")
        assert process.stdout is not None
        arrived = process.stdout.read(6)
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=5)
        server.wait_closed()
    assert (arrived + rest, process.returncode) == (b"so far\n", 130)
    assert told == b"mcp-llm: interrupted; what had arrived is above\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_control_characters_are_escaped_on_a_terminal(start: Start, gateway: Gateway) -> None:
    with FaultServer([ok("openai", text=EVIL, stream=True)]) as server:
        gateway(server.url)
        shown = on_terminal(start, "ask", "-m", "gate:x", "hi")
        assert shown == "\\x1b]52;c;cm0gLXJmIH4=\\x07\\x1b[1A\\x1b[2K$ ok \\u202egnp\\x9b\n"
        assert on_terminal(start, "ask", "--raw", "-m", "gate:x", "hi") == EVIL


def on_terminal(start: Start, *args: str) -> str:
    """What a terminal gets to see."""
    ours, theirs = os.openpty()
    try:
        process = start(*args, stdout=theirs)
        process.communicate(timeout=30)
        return os.read(ours, 65_536).decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_poor_locale_loses_no_answer(cold: Run, gateway: Gateway) -> None:
    poor = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    with FaultServer([ok("openai", text="é😀", stream=True)]) as server:
        gateway(server.url)
        plain = cold("ask", "-m", "gate:x", "hé", **poor)
        assert (plain.returncode, plain.stdout) == (0, "\\xe9\\U0001f600\n"), plain.stderr
        assert json.loads(cold("ask", "--json", "-m", "gate:x", "hi", **poor).stdout)["response"] == "é😀"
        assert json.loads(server.requests[0].body)["messages"][-1]["content"] == "hé"


def test_a_reader_that_leaves_ends_it_quietly(start: Start) -> None:
    process = start("ask", "hi")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=30) == 141
    process.stderr.close()
