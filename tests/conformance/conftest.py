"""Runs the official suite: its command, our server with fixtures as its other end, and what it found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE: Final = Path(__file__).parent
_LISTED: Final = re.compile(r"^  - (\S+) \[([^\]]*)\]$", re.MULTILINE)
_STAMP: Final = re.compile(r"-\d{4}-\d\d-\d\dT[\d-]+Z$")


@dataclass(slots=True)
class Leg:
    """One run of the suite: its exit code, its words, and by scenario the status of each check."""

    code: int
    words: str
    checks: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def failed(self) -> set[str]:
        """`scenario:check` of what is not right; warnings are not."""
        wrong = {"FAILURE", "WARNING"}
        return {f"{name}:{check}" for name, found in self.checks.items() for check, status in found if status in wrong}

    @property
    def passed(self) -> int:
        return sum(status == "SUCCESS" for found in self.checks.values() for _, status in found)


@cache
def not_met(side: str) -> dict[str, str]:
    """The entries of `not_met.toml` for the server or the client."""
    table: dict[str, str] = tomllib.loads((HERE / "not_met.toml").read_text(encoding="utf-8"))[side]
    return table


@pytest.fixture(scope="session")
def suite() -> Path:
    """Holds `node` and `node_modules`."""
    named = os.environ.get("MCP_LLM_CONFORMANCE")
    if not named:
        pytest.skip("MCP_LLM_CONFORMANCE names no folder with the suite; `.ci/conformance` makes one and runs these")
    return Path(named)


def _environment(home: Path, suite: Path) -> dict[str, str]:
    path = f"{suite}{os.pathsep}{os.defpath}"
    return {
        "PATH": path,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "MCP_LLM_HOME": str(home),
        "PYTHONPATH": str(HERE.parent),
    }


@pytest.fixture(scope="session")
def url(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Our server with the suite's fixtures, while the session lasts."""
    home = tmp_path_factory.mktemp("server")
    command = [sys.executable, str(HERE / "server.py")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(command, **pipes, stderr=log, env=_environment(home, suite), text=True) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()
        assert server.wait(20) == 0


@dataclass(slots=True)
class Suite:
    """The installed suite."""

    folder: Path
    url: Callable[[], str]
    work: Callable[[str], Path]

    def run(self, side: str, *options: str) -> Leg:
        """One run of its command against our server or client."""
        folder = self.work(side)
        client = f"{sys.executable} {HERE / 'client.py'}"
        other = ("--url", self.url()) if side == "server" else ("--command", client, "--timeout", "90000")
        done = self._node(folder, side, *other, *options, "-o", str(folder))
        found = Leg(done.returncode, done.stdout + done.stderr)
        for path in sorted(folder.rglob("checks.json")):
            name = _STAMP.sub("", path.parent.relative_to(folder).as_posix())
            name = name.removeprefix("server-") if side == "server" else name
            checks = [(str(one["id"]), str(one["status"])) for one in json.loads(path.read_bytes())]
            found.checks.setdefault(name, []).extend(checks)
        return found

    def clients(self, version: str) -> Leg:
        """All client scenarios of a version, or all extensions, few at a time.

        By itself the suite starts them all at once; on a busy machine a client then takes silence for an older server.
        """
        listed = self._node(self.work("list"), "list").stdout.partition("Client scenarios")[2]
        known = [
            (match[1], match[2].split(",")) for match in _LISTED.finditer(listed.partition("Authorization server")[0])
        ]
        names = [name for name, versions in known if version in versions]
        given = () if version == "extension" else ("--spec-version", version)
        whole = Leg(0, "")
        with ThreadPoolExecutor(3) as pool:
            for one in pool.map(lambda name: self.run("client", "--scenario", name, *given), names):
                whole.checks.update(one.checks)
                whole.words += one.words if one.failed else ""
        return whole

    def _node(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "node", self.folder / "node_modules/.bin/conformance", *arguments],
            capture_output=True,
            text=True,
            timeout=400,
            cwd=folder,
            env=_environment(folder, self.folder),
        )


@pytest.fixture(scope="session")
def leg(suite: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    """`leg("server", "--spec-version", "2026-07-28")`, `leg("client", "2026-07-28")`: run once in a session."""
    installed = Suite(suite, lambda: request.getfixturevalue("url"), lambda name: tmp_path_factory.mktemp(name))

    @cache
    def run(side: str, *options: str) -> Leg:
        return installed.clients(*options) if side == "client" else installed.run(side, *options)

    return run
