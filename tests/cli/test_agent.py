"""`mcp-llm agent`, run as people run it: a demo model over a real MCP server."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

SERVER = Path(__file__).parents[1] / "agent" / "server.py"


def configure(home: Path, more: str = "") -> None:
    """A config file with one server."""
    (home / "mcp_llm.toml").write_text(
        f'[servers.figures]\ncommand = "{sys.executable}"\nargs = ["{SERVER}", "{home / "notes"}"]\n{more}'
    )


def test_an_agent_on_the_demo_uses_a_real_server(run: Run, home: Path) -> None:
    configure(home)
    done = run("agent", "-m", "demo", "--server", "figures", "please add the numbers")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("figures__add said: 2\n")
    assert 'figures__add({"a": 1, "b": 1})' in done.stderr
    assert "2 turns, 1 call" in done.stderr


def test_events_come_as_lines_with_one_end(run: Run, home: Path) -> None:
    configure(home)
    done = run("agent", "-m", "demo", "--jsonl", "please add the numbers")
    events = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["event"] for event in events if event["event"] in {"start", "finish", "error"}] == ["start", "finish"]
    assert {"tool_start", "tool_end", "model_start", "model_end", "text"} <= {event["event"] for event in events}


def test_nothing_is_destroyed_without_a_terminal_to_ask_at(run: Run, home: Path) -> None:
    configure(home, "[agents]\napproval_s = 0.2\n")
    (home / "notes").write_text("dear\n")
    done = run("agent", "-m", "demo", "please wipe it")
    assert (done.returncode, (home / "notes").read_text()) == (0, "dear\n")
    assert "nobody answered in time" in done.stdout
    yes = run("agent", "-m", "demo", "--yes", "please wipe it")
    assert (yes.returncode, (home / "notes").read_text()) == (0, "")


def test_json_goes_on_with_an_ended_run(run: Run, home: Path) -> None:
    first = json.loads(run("agent", "-m", "demo", "--json", "one two").stdout)
    second = run("agent", "-m", "demo", "--json", "--continue-from", first["run_id"], "three")
    assert json.loads(second.stdout)["turns"] == 1
    assert first["stop_reason"] == "stop"


def test_a_limit_exits_with_four_and_says_which(run: Run, home: Path) -> None:
    configure(home)
    done = run("agent", "-m", "demo", "--max-turns", "1", "please add the numbers")
    assert done.returncode == 4
    assert "replies of the model" in done.stderr


def test_what_is_wrong_is_told_in_the_form_that_was_asked_for(run: Run, home: Path) -> None:
    plain = run("agent", "-m", "demo", "--server", "figurs", "x")
    assert (plain.returncode, plain.stdout) == (2, "")
    assert "no server is configured as 'figurs'" in plain.stderr
    lines = run("agent", "-m", "demo", "--jsonl", "--agent", "reviwer", "x").stdout.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["error"]
    whole = json.loads(run("agent", "--json", "-m", "demo", "--continue-from", "nope", "x").stdout)
    assert whole["error"]["kind"] == "invalid_input"


def test_a_server_can_be_brought_along_for_one_run(run: Run) -> None:
    words = 'Call add with {"a": 40, "b": 2}, will you {"c": 3}'
    done = run("agent", "-m", "demo", "--with", f"sums={sys.executable} {SERVER} nowhere", words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("sums__add said: 42\n")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("sums", "'sums' is not key=value"),
        ("sums=", "sums= needs a command line or a URL"),
        ("sums='a", "is no command line"),
    ],
)
def test_a_server_brought_along_wrongly_is_told(run: Run, given: str, told: str) -> None:
    done = run("agent", "-m", "demo", "--with", given, "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_a_server_that_does_not_come_up_costs_only_its_tools(run: Run) -> None:
    done = run("agent", "-m", "demo", "--with", "gone=no-such-command-anywhere", "hello there")
    assert done.returncode == 0
    assert "no-such-command-anywhere" in done.stderr
