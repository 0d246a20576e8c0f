"""`mcp-llm install`: a host's own file gets the entry, and says so."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from canary import KEY, expect

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """A home folder in which Cursor and Codex have been started."""
    folder = tmp_path / "ana"
    for name in (".cursor", ".codex"):
        (folder / name).mkdir(parents=True)
    for variable in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "VSCODE_PORTABLE", "XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    return folder


def test_a_host_gets_the_entry_once_and_loses_it_again(run: Run, person: Path, home: Path) -> None:
    file = person / ".cursor" / "mcp.json"
    first = run("install", "cursor")
    entry = json.loads(file.read_text())["mcpServers"]["mcp-llm"]
    second, taken = run("install", "cursor"), run("install", "cursor", "--remove")
    assert first.stdout == f"Cursor has mcp-llm now, in {file}\n"
    assert first.stderr == "next: switch it on under Settings > MCP\n"
    assert Path(entry["command"]).is_absolute()
    assert entry["args"][-1] == "serve"
    assert entry["env"] == {"MCP_LLM_HOME": str(home)}
    assert second.stdout == f"nothing to do: Cursor is as it should be, in {file}\n"
    assert taken.stdout == f"mcp-llm is taken out of Cursor, in {file}\n"
    assert taken.stderr == "the former file is mcp.json.before-mcp-llm beside it\n"
    assert json.loads(file.read_text()) == {"mcpServers": {}}


def test_the_entry_starts_a_server(run: Run, person: Path) -> None:
    run("install", "codex", "--name", "llms")
    entry = tomllib.loads((person / ".codex" / "config.toml").read_text())["mcp_servers"]["llms"]
    assert entry["command"] in {sys.executable, str(Path(sys.executable).with_name("mcp-llm"))}
    assert entry["args"] in (["serve"], ["-m", "mcp_llm", "serve"])


def test_print_changes_nothing_and_needs_no_host(run: Run, person: Path) -> None:
    done = run("install", "zed", "--print", "--uvx", "--env", "A=b")
    entry = json.loads(done.stdout)["context_servers"]["mcp-llm"]
    assert (Path(entry["command"]).name.removesuffix(".exe"), entry["args"]) == ("uvx", ["mcp-llm", "serve"])
    assert entry["env"]["A"] == "b"
    assert "zed" in done.stderr
    assert sorted(path.name for path in person.rglob("*")) == [".codex", ".cursor"]


def test_a_host_that_is_not_here_is_told_by_its_folder(run: Run, person: Path) -> None:
    done = run("install", "windsurf")
    folder = person / ".codeium" / "windsurf"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"mcp-llm: Windsurf has never been started here: there is no {folder}. Start it once, or use --print\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["vscod"], "no host is known as 'vscod': did you mean vscode?"),
        (["emacs"], "no host is known as 'emacs': there are claude-code, claude-desktop, vscode, "),
        (["cursor", "--env", "A B=1"], "--env 'A B' is no name of a variable"),
        (["cursor", "--env", "NOT_SET_HERE"], "--env NOT_SET_HERE: it is not set here"),
        (["cursor", "--name", ""], "--name is a few letters"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(run: Run, person: Path, arguments: list[str], told: str) -> None:
    done = run("install", *arguments)
    assert (done.returncode, told in done.stderr, list((person / ".cursor").iterdir())) == (2, True, [])


def test_a_key_is_written_only_when_it_is_asked_for_and_that_is_said(run: Run, person: Path) -> None:
    run("install", "cursor", OPENAI_API_KEY=KEY)
    assert KEY not in (person / ".cursor" / "mcp.json").read_text()
    expect(person / ".cursor")
    done = run("install", "cursor", "--env", "OPENAI_API_KEY", OPENAI_API_KEY=KEY)
    entry = json.loads((person / ".cursor" / "mcp.json").read_text())["mcpServers"]["mcp-llm"]
    assert entry["env"]["OPENAI_API_KEY"] == KEY
    assert "the key stands in the host's file now" in done.stderr
    assert KEY not in done.stdout + done.stderr


def test_without_a_host_it_says_which_are_here(run: Run, person: Path) -> None:
    run("install", "codex")
    (person / ".cursor" / "mcp.json").write_text("{")
    rows = {row["host"]: row for row in json.loads(run("install", "--json").stdout)}
    assert {name: (row["here"], row["entry"]) for name, row in rows.items() if row["here"] == "yes"} == {
        "codex": ("yes", "yes"),
        "cursor": ("yes", ("the host's file cannot be read, line 1 is no JSON (Expecting property name enclosed in "
                   "double quotes): mend it, or use --print and paste")),
    }  # fmt: skip
    assert rows["zed"]["entry"] == "no"
    assert run("install").stdout.splitlines()[0].split() == ["host", "here", "mcp-llm", "file"]
