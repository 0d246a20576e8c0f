"""`mcp-llm doctor`: every finding says how to mend it, and no key is ever shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from canary import KEY
from faults.server import FaultServer, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]
    Gateway = Callable[[str], None]


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, list[dict[str, Any]]]:
    """By topic."""
    topics: dict[str, list[dict[str, Any]]] = {}
    for one in json.loads(done.stdout)["findings"]:
        topics.setdefault(one["topic"], []).append(one)
    return topics


def test_a_bare_machine_is_told_what_to_set(run: Run) -> None:
    done = run("doctor")
    assert (done.returncode, done.stderr) == (1, "")
    assert "in force: demo:demo" in done.stdout
    assert "anthropic: ANTHROPIC_API_KEY is not set" in done.stdout
    assert "digitalocean" not in done.stdout
    assert "more providers have no key: `mcp-llm doctor --all` lists them" in done.stdout
    assert "digitalocean: MODEL_ACCESS_KEY is not set" in run("doctor", "--all").stdout
    assert done.stdout.endswith("nothing is wrong; only the built-in demo can be asked\n")


def test_keys_are_masked_and_their_source_is_named(run: Run, home: Path) -> None:
    (home / ".env").write_text(f"GROQ_API_KEY={KEY}\n")
    done = run("doctor", "--json", "--host", OPENAI_API_KEY="short", OPENAI_BASE_URL="https://proxy.example.com/v1")
    found = findings(done)
    assert (done.returncode, KEY in done.stdout) == (0, False)
    words = {one["text"] for one in found["keys"]}
    assert "groq: GROQ_API_KEY from .env in the config folder (sk-…cdef)" in words
    assert "openai: OPENAI_API_KEY from environment (…)" in words
    assert "openai: its address is https://proxy.example.com/v1, from OPENAI_BASE_URL" in words
    assert found["model"][0]["level"] == "ok"
    assert "2026-07-28" in found["host"][0]["text"]
    assert {"openai", "groq"} <= set(json.loads(done.stdout)["can_be_asked"])


@pytest.mark.skipif(find_spec("keyring") is not None, reason="there is a keychain to ask")
def test_a_keychain_that_cannot_be_asked_is_told_once(run: Run, home: Path) -> None:
    (home / "mcp_llm.toml").write_text("keychain = true\n")
    told = findings(run("doctor", "--json"))
    words = "the keychain cannot be asked (ModuleNotFoundError): see to it that `python -m keyring` works here, or set"
    assert [one["text"] for topic in told.values() for one in topic if "keychain" in one["text"]] == [
        f"{words} `keychain = false`"
    ]


def test_check_says_which_provider_answers_and_that_its_list_proves_no_key(run: Run, gateway: Gateway) -> None:
    listed = Reply(body=b'{"object": "list", "data": [{"id": "m-1"}]}')
    with FaultServer([listed, listed, Reply(status=401)]) as server:
        gateway(server.url)
        good = run("doctor", "--check", "--json", GATE_API_KEY=KEY)
        assert good.returncode == 0, good.stderr
        told = findings(good)["check"][0]["text"]
        assert told.startswith("gate: answers (")
        assert "1 models); the key was not tested" in told
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        bad = run("doctor", "--check", "--json", GATE_API_KEY=KEY)
    assert (bad.returncode, findings(bad)["check"][0]["level"]) == (1, "problem")
    assert KEY not in good.stdout + good.stderr + bad.stdout + bad.stderr


def test_what_is_wrong_is_listed_with_its_fix(run: Run, home: Path) -> None:
    (home / "providers").mkdir()
    (home / "providers" / "mine.toml").write_text("nonsense = 1\n")
    (home / "prompts").mkdir()
    (home / "prompts" / "bad.md").write_text("nothing")
    done = run("doctor", "--json", GROQ_API_KEY="two words", OPENAI_API_KEY=KEY)
    problems = [one for ones in findings(done).values() for one in ones if one["level"] == "problem"]
    text = "\n".join(one["text"] for one in problems)
    assert all(one["fix"] for one in problems)
    assert "mine.toml" in text
    assert "prompt bad.md" in text
    assert "GROQ_API_KEY" in text
    assert json.loads(done.stdout)["can_be_asked"] == ["openai"]


def test_a_broken_config_file_is_a_finding(run: Run, home: Path) -> None:
    (home / "mcp_llm.toml").write_text("= nothing")
    done = run("doctor")
    assert (done.returncode, "is not valid TOML" in done.stdout) == (1, True)


def call_as_host(home: Path, **more: str) -> dict[str, str]:
    """One call of a host that declares two things and asks for progress; the environment it gave."""
    environment = {"PATH": os.environ["PATH"], "MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0"}
    declared: dict[str, Any] = {"elicitation": {}, "roots": {}, "extensions": {"io.modelcontextprotocol/ui": {}}}
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": declared,
        "clientInfo": {"name": "claude-ai", "version": "9"},
    }
    call = {"name": "list_models", "arguments": {}, "_meta": {"progressToken": 7}}
    lines: list[dict[str, Any]] = [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call},
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "mcp_llm"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**environment, **more},
        cwd=home,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    for line in lines:
        server.stdin.write(json.dumps(line).encode() + b"\n")
        server.stdin.flush()
        if "id" in line:
            server.stdout.readline()
    server.communicate(timeout=20)
    return environment


def test_doctor_tells_which_hosts_have_called_and_what_they_showed(home: Path, run: Run) -> None:
    call_as_host(home, GROQ_API_KEY=KEY)
    told = findings(run("doctor", "--host", "--json", OPENAI_API_KEY=KEY, GROQ_API_KEY=KEY))["host"]
    caller = next(one for one in told if one["text"].startswith("claude-ai 9 spoke 2025-06-18, last on "))
    words = caller["text"].partition("; ")[2]
    assert (caller["level"], KEY in str(told)) == ("note", False)
    assert words == (
        "declares elicitation, io.modelcontextprotocol/ui, roots; asks for progress; let us see GROQ_API_KEY; a call "
        "becomes a run to be collected after 50 s, replies have pages of 60,000 characters; not OPENAI_API_KEY, which "
        "this shell has"
    )
    passed = [one["text"].split()[0] for one in told if "hosts may not pass it on" in one["text"]]
    assert passed == ["GROQ_API_KEY", "OPENAI_API_KEY"]


def test_doctor_starts_the_server_as_hosts_do_and_prints_what_to_paste(home: Path, run: Run) -> None:
    done = run("doctor", "--host", "--json")
    told = [one for one in findings(done)["host"] if "era, " in one["text"]]
    assert [(one["level"], one["text"].split(",")[0]) for one in told] == [
        ("ok", "stateless era"),
        ("ok", "handshake era"),
    ]
    assert all(one["text"].endswith("nothing but protocol on stdout") for one in told)
    assert [one["id"] for one in json.loads(done.stdout)["hosts"]] == [
        *("claude-code", "claude-desktop", "vscode", "cursor", "codex", "gemini", "zed", "windsurf"),
    ]


def test_doctor_judges_what_the_entries_of_hosts_start(
    home: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = tmp_path / "ana"
    for name in (".cursor", ".codex", ".gemini", ".codeium/windsurf"):
        (person / name).mkdir(parents=True)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(person))
    for variable in ("CODEX_HOME", "XDG_CONFIG_HOME", "APPDATA", "CLAUDE_CONFIG_DIR", "VSCODE_PORTABLE"):
        monkeypatch.delenv(variable, raising=False)
    run("install", "codex")
    entry = {"mcpServers": {"mcp-llm": {"command": "/old/venv/bin/mcp-llm", "args": ["serve"]}}}
    (person / ".cursor" / "mcp.json").write_text(json.dumps(entry))
    (person / ".codeium" / "windsurf" / "mcp_config.json").write_text("{")
    told = {one["text"].partition(":")[0]: one for one in findings(run("doctor", "--host", "--json"))["host"]}
    assert (told["Cursor"]["level"], told["Cursor"]["text"], told["Cursor"]["fix"]) == (
        "problem",
        "Cursor: its entry starts /old/venv/bin/mcp-llm, which is not there",
        "mcp-llm install cursor",
    )
    assert told["Codex"]["level"] == "ok"
    assert told["Gemini CLI is here and does not have us"]["fix"] == "mcp-llm install gemini"
    assert told["Windsurf"]["level"] == "problem"


def test_settings_that_mean_nothing_are_problems(run: Run, home: Path) -> None:
    (home / "mcp_llm.toml").write_text(
        'prefer = ["antropic"]\ndisabled = ["gemini"]\nfallbacks = ["nowhere:m"]\n'
        '[aliases]\npro = "demo"\nlost = "no-such-model"\n[contexts]\n"notes.*" = "ghost-model"\n'
    )
    (home / "providers").mkdir()
    (home / "providers" / "openai.toml").write_text('base_url = "https://proxy.example.com/v1"\n')
    done = run("doctor", "--json", ANTHROPIC_API_KEY="sk-ant-...")
    told = {one["text"]: one["level"] for ones in findings(done).values() for one in ones}
    problems = [text for text, level in told.items() if level == "problem"]
    for words in (
        "`prefer`: no provider is called 'antropic'. Did you mean anthropic?",
        "`disabled`: 'gemini' is not read; the id is google",
        "the alias `pro` takes the place of what `pro` means",
        "the alias `lost`: no provider is known for the model 'no-such-model'",
        "fallbacks: no provider is called 'nowhere'.",
        'contexts."notes.*": no provider is known for the model',
        "anthropic: ANTHROPIC_API_KEY is a placeholder (`sk-ant-...`)",
    ):
        assert any(text.startswith(words) for text in problems), words
    assert told["providers/openai.toml moves openai to https://proxy.example.com/v1"] == "note"
