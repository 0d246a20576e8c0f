"""Paths, URLs, templates and YAML of the corpus get through nowhere, and no read escapes its root in a race.

A bypass is a test of such a line that fails. The races are those of `tests/files/race.py`, for the kernel's openat2 and
for the walk that stands in for it; what others do - resolve, compare, open - is raced as well, to show that it is one.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from abuse.corpus import cases
from files import race
from goals.cases import run
from goals.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPORA = {"paths": "FIL-", "URLs": "IMG-", "templates": "TPL-", "YAML": "YML-"}
FULL, SHORT = 20_000, 2_000
MOST = 200_000
"""Reads after which a way that is known to be wrong is believed to be right."""
WAYS = {"openat2": race.ours, "the walk": race.walked}


def measure(full: bool) -> Iterator[Figure]:
    """Bypasses by corpus, escapes by way of reading."""
    for what, prefix in CORPORA.items():
        names = [name for name in cases() if name.startswith(prefix)]
        if not names:
            yield Figure(f"bypasses of {what}", None, "", 0, note="the corpus is not beside the repository")
            continue
        done = run(names)
        note = f"{len(names)} lines, {done.tests} tests" + (f"; without a test: {done.without}" if done.without else "")
        yield Figure(f"bypasses of {what}", done.failed + len(done.without), "", 0, note=note)
    reads = FULL if full else SHORT
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "root"
        race.make(root)
        with race.swapping(root):
            for way, read in WAYS.items():
                seen = [race.readings(root, path, reads // len(race.KINDS), read) for path in race.KINDS.values()]
                came = sum(one["inside"] for one in seen)
                note = f"{came:,} of {reads:,} came, the others were refused"
                yield Figure(f"escapes by {way}", sum(one["ESCAPED"] for one in seen), "", 0, note=note)
            naive = tried = 0
            while not naive and tried < MOST:
                tried += SHORT
                naive += race.readings(root, "file", SHORT, race.checked_first)["ESCAPED"]
            note = f"in {tried:,} reads, not our way: this is a race"
            yield Figure("escapes where a path is checked, then opened", naive, "", 1, least=True, note=note)
