"""The command that makes, lists and revokes the tokens of the server over HTTP."""

from __future__ import annotations

import json
import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from mcp_llm.cli import running
from mcp_llm.cli.commands import commands
from mcp_llm.server.http.tokens import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess


def test_the_command_prints_the_token_alone_and_never_again(run: Callable[..., CompletedProcess[str]]) -> None:
    made = run("token", "create", "ci", "--scope", "generate", "--expires", "90d")
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    assert re.fullmatch(TOKEN, token)
    assert token not in made.stderr
    listed = run("token", "list", "--json")
    rows = json.loads(listed.stdout)
    assert [(row["name"], row["tools"], row["used"], row["expired"]) for row in rows] == [
        ("ci", ["generate"], None, False)
    ]
    assert token.split("_", 2)[2] not in listed.stdout
    assert run("token", "create", "ci").returncode == 1
    assert run("token", "create", "x", "--expires", "2020-01-01").returncode == 2
    assert run("token", "create", "x", "--expires", "soon").returncode == 2
    assert run("token", "revoke", "ci").returncode == 0
    gone = run("token", "revoke", "ci")
    assert (gone.returncode, "no token 'ci'" in gone.stderr) == (2, True)


def test_ctrl_c_in_a_command_that_does_not_speak_of_it_is_no_fault(
    bare: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(work: object) -> None:
        raise running.Interrupted(signal.SIGINT)

    monkeypatch.setattr(running, "run", interrupted)
    monkeypatch.setattr(sys, "argv", ["mcp-llm", "token", "list"])
    with pytest.raises(SystemExit) as ended:
        commands()
    assert (ended.value.code, *capsys.readouterr()) == (130, "", "")
