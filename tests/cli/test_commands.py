"""The command line as a whole: what the help costs, and the commands that only look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from faults.server import FaultServer, Reply

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]
    Gateway = Callable[[str], None]

HEAVY = {"mcp", "pydantic", "pydantic_core", "httpx2", "httpcore2", "anyio", "asyncio", "sqlite3", "mcp_llm.app"}


def test_the_help_loads_nothing_heavy_and_names_every_command_and_exit_code(cold: Run) -> None:
    done = cold("--help", PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert (done.returncode, loaded & HEAVY) == (0, set())
    for word in ("serve", "ask", "chat", "models", "health", "usage", "doctor", "config", "demo", "  130"):
        assert f"\n  {word} " in done.stdout
    assert cold("asq").returncode == 2


def test_chat_keeps_a_thread_over_piped_lines_and_obeys_slashes(run: Run) -> None:
    lines = "one two\n/thread\n/nothing\nthree\\\nfour\n/usage\n/quit\nnever said\n"
    done = run("chat", stdin=lines)
    assert done.returncode == 0, done.stderr
    assert [line.rpartition(": ")[2] for line in done.stdout.splitlines()] == ["one two", "three", "four"]
    assert "there is no /nothing" in done.stderr
    assert "2 answer(s) · " in done.stderr
    thread = done.stderr.splitlines()[-1].removeprefix("thread ")

    later = run("chat", "--thread", thread, "-q", stdin="and now\n/model nope\n")
    assert later.returncode == 2
    assert "no provider is known for the model 'nope'" in later.stderr


def test_models_marks_the_one_in_force_and_shows_unknown_as_a_question_mark(run: Run, gateway: Gateway) -> None:
    with FaultServer([Reply(body=b'{"object": "list", "data": [{"id": "m-1"}, {"id": "m-2"}]}')]) as server:
        gateway(server.url)
        done = run("models", "--provider", "gate", "--live")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[1].split() == ["*", "gate:m-1", "?", "?", "?", "?", "?"]
    ours = run("models", "demo")
    assert ours.stdout.splitlines()[1].startswith("*  demo:demo")
    assert "in force: demo:demo (default)" in ours.stderr


def test_health_asks_all_at_once_and_fails_when_one_does(run: Run, gateway: Gateway) -> None:
    with FaultServer([Reply(body=b'{"object": "list", "data": [{"id": "m-1"}]}'), Reply(status=401)]) as server:
        gateway(server.url)
        good = run("health", "gate", "--json")
        assert good.returncode == 0, good.stderr
        state = json.loads(good.stdout)[0]
        assert (state["provider_id"], state["available"], state["models_available"]) == ("gate", True, 1)
        bad = run("health", "gate")
        assert (bad.returncode, bad.stdout.splitlines()[1].split()[:2]) == (3, ["gate", "fails"])


def test_prompts_are_listed_with_their_arguments(run: Run, home: Path) -> None:
    (home / "prompts").mkdir()
    (home / "prompts" / "mine.md").write_text('+++\ntitle = "Mine"\n+++\nSay it.\n')
    (home / "prompts" / "broken.md").write_text("no front matter")
    done = run("prompts")
    assert done.stdout.splitlines()[-1].split() == ["mine", "Mine"]
    assert "prompt broken.md" in done.stderr


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("defualt = 1\n", "did you mean `default`?"),
        ("[prices]\ngpt = { input = 1 }\n", 'write "<provider>:gpt"'),
        ('[prices]\n"openai:gpt" = { speed = 1 }\n', "Give `input` and `output` in dollars per million tokens"),
    ],
)
def test_a_broken_config_file_is_one_line_on_stderr(run: Run, home: Path, text: str, fix: str) -> None:
    (home / "mcp_llm.toml").write_text(text)
    for args in (("ask", "hi"), ("serve",), ("serve", "--packs", "media"), ("serve", "--http", "--port", "0")):
        done = run(*args)
        assert (done.returncode, done.stdout) == (2, "")
        assert fix in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("mcp-llm: ")
        assert "Traceback" not in done.stderr


def test_what_is_no_command_is_answered_with_the_one_meant(run: Run) -> None:
    lost, near = run("what", "is", "up"), run("modls")
    assert (lost.returncode, near.returncode) == (2, 2)
    assert 'Did you mean `mcp-llm ask "..."`?' in lost.stderr
    assert "Did you mean `mcp-llm models`?" in near.stderr
    assert run("help").stdout == run("--help").stdout
    assert run("help", "ask").stdout == run("ask", "--help").stdout


def test_errors_speak_of_flags_and_come_as_json_where_that_was_asked_for(run: Run) -> None:
    done = run("ask", "-m", "openai:gpt-x", "--json", "hi")
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (2, "missing_key")
    assert "use -m demo" in done.stderr
    lost = run("ask", "--json", "-f", "no-such-file.pdf", "hi")
    assert lost.returncode == 2
    assert json.loads(lost.stdout) == {
        "error": {"kind": "usage", "error": "Invalid value: there is no file 'no-such-file.pdf'"}
    }
    assert json.loads(run("models", "--json", "--provider", "nobody").stdout)["error"]["kind"] == "unknown_provider"


@pytest.mark.parametrize("name", ["batch", "config", "models", "runs", "servers", "token", "workflow"])
def test_the_help_of_a_group_says_whole_sentences(run: Run, name: str) -> None:
    usage, _, listed = run(name, "--help").stdout.partition("\nCommands:\n")
    assert "Usage: " in usage
    assert listed
    assert [line for line in listed.splitlines() if line.endswith("...")] == []


def test_too_few_models_to_compare_are_told_with_the_flag_that_names_more(run: Run) -> None:
    done = run("compare", "-m", "demo", "hi")
    assert (done.returncode, done.stderr) == (
        2,
        "mcp-llm: -m (once for each model) names 1; a comparison takes 2 to 16\n",
    )


def test_where_no_server_is_configured_it_is_said_where_one_is_put(run: Run) -> None:
    done = run("servers", "approve", "clock")
    assert done.returncode == 2
    assert "no server is configured as 'clock'; put one under [servers.NAME] in the config file" in done.stderr
