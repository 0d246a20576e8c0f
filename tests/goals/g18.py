"""G18: a call a second of every kind, faults, a kill every five minutes: memory flat, nothing lost, repeated or told.

`python tests/goals/g18.py --minutes 1440` is a whole day of it; `--full` of `run.py` is two hours, the short form a
minute, which is too short for a slope and for tenths of a percent.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from goals.figure import Figure, verdict
from load.provider import many_files
from load.soak import soak

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT, FULL = 70.0, 7200.0
KILL_EVERY = 300.0
LEAST = 600.0
"""Seconds of steady running below which a slope says nothing."""


def measure(full: bool) -> Iterator[Figure]:
    """Two hours of it, or a minute with a kill every 20 seconds."""
    yield from running(FULL if full else SHORT)


def running(seconds: float) -> Iterator[Figure]:
    """So many seconds of it; the first quarter, ten minutes at most, is taken for warming up."""
    many_files()
    warm = min(600.0, seconds / 4)
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), seconds, kill_every=min(KILL_EVERY, seconds / 3), warm=warm)
    long = seconds - warm >= LEAST
    grown = found.growth(warm) if long else None
    note = f"{found.seconds / 60:.0f} min, {len(found.answers)} calls, {found.kills} kills, {found.resumed} resumed"
    yield Figure("growth of memory", grown, "MiB/h", 1, note=note if long else f"too short; {note}")
    first, last = found.quiet[0], found.quiet[-1]
    yield Figure(
        "memory at rest, last less first", last.rss - first.rss, "MiB", 8, note=f"{last.rss:.0f} MiB at the end"
    )
    for what, most in (
        ("files", 0),
        ("sockets", 0),
        ("threads", 8),
        ("children", 0),
    ):  # of threads a pool comes and goes
        yield Figure(f"{what} more than after warming up", getattr(last, what) - getattr(first, what), "", most)
    unserved = found.unserved
    words = f"the first: {unserved[0].text[:200]}" if unserved else ""
    served = 100 * (1 - len(unserved) / len(found.answers))
    yield Figure("calls that were served", served, "%", 99.9 if long else 98, least=True, note=words)
    yield Figure("runs lost that had been acknowledged or handed out", found.lost, "", 0)
    yield Figure("side effects repeated", found.repeated, "", 0)
    yield Figure("places where a key was found", len(found.canaries), "", 0, note=", ".join(found.canaries[:3]))
    yield Figure("processes left behind", found.orphans, "", 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=FULL / 60)
    missed = 0
    for figure in running(parser.parse_args().minutes * 60):
        value = "unknown" if figure.value is None else f"{figure.value:,.4g} {figure.unit}".rstrip()
        print(f"{verdict(figure):<13} {figure.what}: {value}  {figure.note}", flush=True)
        missed += figure.met is False
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
