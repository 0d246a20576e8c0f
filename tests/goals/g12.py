"""No key is found in anything that the tests leave behind.

`tests/canary.py` searches, at the end of a run of the tests, every file below their temporary folders - databases and
their logs, artifacts, records, what processes wrote -, all captured output, and what subprocesses gave; raw,
percent-encoded, in base64 and in hexadecimal. The short form runs the tests that have most to do with keys.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from goals.cases import TESTS, pytest
from goals.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT = (
    "test_canary.py",
    "test_redactor.py",
    "test_config.py",
    "abuse/test_threats.py",
    "abuse/test_outside.py",
    "llm/test_faults_keys.py",
    "runs/test_recording.py",
    "cli/test_doctor.py",
)


def measure(full: bool) -> Iterator[Figure]:
    """Places in which a key was found."""
    said = pytest(*([] if full else [str(TESTS / file) for file in SHORT]))
    found = re.search(r"the canary key was found in (\d+) places \((\d+) files were searched\)", said)
    ran = re.search(r"(\d+) passed", said)
    tests = ran[1] if ran else "no"
    whose = "the whole suite" if full else f"{len(SHORT)} of its files"
    note = f"{found[2]} files after {tests} tests, {whose}" if found else said[-200:]
    yield Figure("places with a key", int(found[1]) if found else None, "", 0, note=note)
