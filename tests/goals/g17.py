"""The corpus of abuse cases: how many lines a test holds, how many a decision made meaningless, how many are open.

With `--full` those tests are run, and what fails or is skipped among them is counted.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from abuse.corpus import NO_CORPUS, cases
from abuse.test_manifest import MEANINGLESS, ROWS, TESTS
from goals.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator


def measure(full: bool) -> Iterator[Figure]:
    """Lines, and with `full` tests."""
    lines = cases().keys()
    if not lines:
        yield Figure("lines that no test holds", None, "", 0, note=NO_CORPUS)
        return
    held = {name: tests for rows in ROWS.values() for name, tests in rows.items() if name in lines}
    void = lines & MEANINGLESS.keys()
    open_ = sorted(lines - held.keys() - void)
    note = f"{len(held)} of {len(lines)} held, {len(void)} meaningless"
    yield Figure("lines that no test holds", len(open_), "", 0, note=f"{note}; open: {_few(open_)}" if open_ else note)
    if full:
        yield from _run(sorted({test.partition("[")[0] for tests in held.values() for test in tests}))


def _run(tests: list[str]) -> Iterator[Figure]:
    """Whole functions: which of its cases a row means is said by words, not by the name that pytest gives it."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "-rfEs", "--tb=no"]
    done = subprocess.run([*command, *(str(TESTS / test) for test in tests)], capture_output=True, text=True)
    counted = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout)}
    told = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR", "SKIPPED"))]
    passed = f"{counted.get('passed', 0)} cases of {len(tests)} tests passed"
    bad = counted.get("failed", 0) + counted.get("error", 0)
    if not counted:
        yield Figure("tests of them that fail", None, "", 0, note=done.stdout[-300:] + done.stderr[-300:])
        return
    yield Figure("tests of them that fail", bad, "", 0, note=f"{passed}; {_few(told)}" if bad else passed)
    yield Figure("tests of them that are skipped", counted.get("skipped", 0), "", 0)


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
