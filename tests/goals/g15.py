"""Readers of other people's bytes: 10^6 inputs break none of five, and 100 kB of the worst take at most 50 ms of CPU.

Server-sent events, JSON lines, templates of workflows, `.env` files, and JSON Schemas on their way to a vendor. The
full form is guided by coverage (atheris, put into a temporary folder where it is not installed and can be had) and
takes forty minutes; the short form changes samples at random.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from fuzz import drive
from fuzz.target import targets
from goals.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fuzz.target import Target

NAMES: Final = ("sse", "jsonl", "template", "env", "schema")
SIZE: Final = 100_000
MOST_MS: Final = 50
_EXECUTED: Final = re.compile(r"stat::number_of_executed_units: (\d+)|: (\d+) inputs")


def measure(full: bool) -> Iterator[Figure]:
    """The inputs that broke a reader, and the slowest 100 kB of each."""
    every = targets()
    runs = 1_000_000 if full else 3_000
    with TemporaryDirectory(prefix="mcp-llm-g15-") as folder:
        guide = guided(Path(folder)) if full else None
        for name in NAMES:
            done, broken = fed(name, runs, Path(folder), guide)
            yield Figure(
                f"{name}: inputs", done, "", runs, least=True, note="guided by coverage" if guide else "random"
            )
            yield Figure(f"{name}: inputs that broke it", broken, "", 0)
    for name in NAMES:
        target = every[name]
        ms, at = max((milliseconds(target, at), at) for at in range(len(target.grows)))
        head, repeated, tail = (one[:12].decode("latin-1") for one in target.grows[at])
        yield Figure(
            f"{name}: CPU of 100 kB", ms, "ms", MOST_MS, note=f"the slowest: {head!r}, {repeated!r}..., {tail!r}"
        )


def milliseconds(target: Target, at: int) -> float:
    """CPU time of 100 kB of one repeat, the best of three."""
    run = target.bare or target.run
    data, best = target.grown(at, SIZE), float("inf")
    for _ in range(3):
        began = time.process_time()
        run(data)
        best = min(best, time.process_time() - began)
    return best * 1000


def guided(folder: Path) -> Path | None:
    """The folder to import atheris from; None where it is not to be had."""
    if (spec := find_spec("atheris")) is not None and spec.origin is not None:
        return Path(spec.origin).parent.parent
    place = folder / "atheris"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--target", str(place)]
    done = subprocess.run([*install, "atheris"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return place if done.returncode == 0 else None


def fed(name: str, runs: int, folder: Path, guide: Path | None) -> tuple[int, int]:
    """(inputs that were read, inputs that broke it): a guided run ends with the first of those."""
    command = [sys.executable, drive.__file__, name, "--runs", str(runs), "--out", str(folder)]
    path = os.pathsep.join(filter(None, [str(guide or ""), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command if guide else [*command, "--unguided"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    counted = [int(one[0] or one[1]) for one in _EXECUTED.findall(done.stdout + done.stderr)]
    return counted[-1] if counted else 0, int(done.returncode != 0)
