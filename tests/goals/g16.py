"""G16: every scenario of the official conformance suite that applies, and every requirement of ours with a test.

The suite needs Node: `.ci/conformance` fetches both. Where that has not been done nothing of it is measured.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.test_requirements import ROWS
from conformance.test_suite import SERVER
from goals.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcp-llm"


def measure(full: bool) -> Iterator[Figure]:
    """Ours at once; the suite's server scenarios, and with `full` all of it, which takes minutes."""
    held = pytest("tests/conformance/test_requirements.py")
    yield Figure(f"of our {len(ROWS)} requirements, held by a test", share(held, len(ROWS)), "%", 100, least=True)
    what = f"of {sum(SERVER.values())} server scenarios in {len(SERVER)} versions, passed"
    if (folder := suite()) is None:
        yield Figure(what, None, "%", 100, least=True, note="the suite is not here: .ci/conformance fetches it")
        return
    asked = () if full else ("-k", "our_server_passes_every_scenario")
    found = pytest("tests/conformance/test_suite.py", *asked, MCP_LLM_CONFORMANCE=str(folder))
    yield Figure(what, share(found), "%", 100, least=True, note=f"{found['passed']} tests of the suite passed")


def suite() -> Path | None:
    """Where the suite and its Node were put, if they were."""
    done = [mark.parent for mark in CACHE.glob("conformance-*/done")]
    return max(done, key=lambda folder: folder.stat().st_mtime, default=None)


def pytest(*words: str, **more: str) -> dict[str, int]:
    """How many tests passed, failed and so on."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **more}, capture_output=True, text=True, check=False)
    found = dict.fromkeys(("passed", "failed", "error", "errors", "skipped"), 0)
    for number, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)", done.stdout.splitlines()[-1]):
        found[word] = int(number)
    return found


def share(found: dict[str, int], least: int = 1) -> float:
    """Percent of those that passed; 0 where fewer ran than there are."""
    total = sum(found.values())
    return 100 * found["passed"] / total if total >= least else 0.0
