"""A browser, the pages' process and the scripted house behind them, for tests that look at pages as people do.

Nothing here may leave the machine: every address that a page asks for is kept, and checked at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 90_000
"""Milliseconds that anything may take; the machine may be busy."""
HERE = ("data:", "about:", "blob:")
ROOT = Path(__file__).parents[2]


class Seen:
    """What a context asked for and complained about."""

    def __init__(self, context: Any, *allowed: str) -> None:
        context.set_default_timeout(PATIENCE)
        self.allowed = (*allowed, *HERE)
        self.asked: list[str] = []
        self.bodies: list[str] = []
        self.complaints: list[str] = []
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("response", self._body)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("console", self._console)

    def _body(self, response: Any) -> None:
        if "/api/" in response.url:
            self.bodies.append(response.url + " " + str(response.headers))

    def _console(self, message: Any) -> None:
        # The browser tells of every refused request by itself; the pages tell of it in words.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def check(self) -> None:
        """Nothing left the machine, no policy was offended, no script failed."""
        assert [url for url in self.asked if not url.startswith(self.allowed)] == []
        assert self.complaints == []


class Process:
    """One of our own, with the home and the tests' modules; ended by its own id."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        path = os.pathsep.join((str(ROOT / "tests"), str(ROOT)))
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "MCP_LLM_DISCOVER": "0", **environment},
        )

    def line(self) -> str:
        """The next line it says."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline().strip()
        if not text:
            raise AssertionError(self.end())
        return text

    def end(self) -> str:
        """End it as Ctrl-C does; what it said on stderr."""
        if self.process.poll() is None:
            self.process.terminate()
        _, errors = self.process.communicate(timeout=30)
        return errors


class House(Process):
    """`house.py`: scenes on demand."""

    def __init__(self, home: Path) -> None:
        super().__init__(str(Path(__file__).with_name("house.py")), str(home))
        assert json.loads(self.line()) == {"scene": "ready"}

    def scene(self, name: str, **more: Any) -> dict[str, Any]:
        """Play it; what it made."""
        self.tell(name, **more)
        found: dict[str, Any] = json.loads(self.line())
        return found

    def tell(self, name: str, **more: Any) -> None:
        """Play it, without waiting for a word."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"scene": name, **more}) + "\n")
        self.process.stdin.flush()


class Pages(Process):
    """`mcp-llm ui`; `address` opens it once, `base` is where it is."""

    def __init__(self, **environment: str) -> None:
        super().__init__("-m", "mcp_llm", "ui", "--no-open", **environment)
        self.address = self.line()
        self.base = self.address.partition("/#")[0]


def axe(page: Any, source: str, schemes: tuple[str, ...] = ("light", "dark")) -> list[str]:
    """What axe finds wrong with the page as it stands, in both colour schemes."""
    found = []
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for frame in page.frames:
            frame.evaluate(source)
            result = frame.evaluate("() => axe.run(document, { iframes: false })")
            for one in result["violations"]:
                nodes = [node["html"][:160] for node in one["nodes"]][:3]
                found.append(f"{scheme} {frame.url[:60]} {one['id']}: {one['help']} {nodes}")
    return found


def until(what: Callable[[], bool], page: Any) -> None:
    """Wait, with the page alive, until something outside of it is so."""
    for _ in range(600):
        if what():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not come to be within 30 s")
