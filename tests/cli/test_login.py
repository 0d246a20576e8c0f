"""`mcp-llm servers login`: a real process, a page, and somebody who goes there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from toolsets.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]


OUT = ("logout", "shop")


@pytest.fixture
def authority(home: Path) -> Iterator[Authority]:
    with Authority() as found:
        (home / "mcp_llm.toml").write_text(f'[servers.shop]\nurl = "{found.url}"\n[servers.here]\ncommand = "x"\n')
        yield found


def test_a_person_signs_in_and_out_again(run: Run, authority: Authority, home: Path) -> None:
    command = [sys.executable, "-m", "mcp_llm", "servers", "login", "shop", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as login:
        assert login.stderr is not None
        url = next(line for line in login.stderr if "sign in here: " in line).partition("here: ")[2].strip()
        with urlopen(url, timeout=20) as page:
            words = page.read().decode()
        out, err = login.communicate(timeout=30)
    checked = run("servers", "check", "shop")
    first, second, again = (run("servers", *one) for one in (OUT, OUT, ("check", "shop")))
    assert (login.returncode, out, "You are signed in." in words) == (0, "signed in at shop; it has 1 tools\n", True), (
        err
    )
    assert "who" in checked.stdout
    assert first.stdout.startswith("signed out of shop")
    assert second.stderr == "nobody is signed in at shop\n"
    assert "`mcp-llm servers login`" in again.stderr
    assert "access-" not in checked.stdout + checked.stderr + err
    assert list((home / "oauth").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere", "no server is configured as 'nowhere'; with a url there are: shop"),
        ("here", "here is a program on this machine: only servers with a url want a sign-in"),
    ],
)
def test_what_cannot_be_signed_in_to_is_told(run: Run, authority: Authority, name: str, told: str) -> None:
    done = run("servers", "login", name)
    assert (done.returncode, told in done.stderr) == (2, True)
