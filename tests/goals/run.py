"""Measures the goals G1-G18 of security.md and prints every figure beside its goal.

    python tests/goals/run.py                 the short form of all, some minutes
    python tests/goals/run.py G1 G7           of these
    python tests/goals/run.py G18 --full      as large as the goal asks for: 1,000 kills, 10^6 inputs, two hours

A goal is a module `g01.py` here: its docstring says what is measured, `measure(full)` gives its figures. The exit code
is 1 where one is missed. Linux only. The goals of speed are those of `tests/benchmarks/run.py`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # as pytest has it: `faults`, `runs`, ... are packages of the tests

from goals.figure import verdict  # noqa: E402 - after the path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from goals.figure import Figure


class Goal(Protocol):
    """A module of this folder."""

    def measure(self, full: bool) -> Iterable[Figure]:
        """The figures, as they come; `full` is the goal's own size, else a short form."""
        ...


def goals() -> list[str]:
    """The names of all goals, in order."""
    return [f"G{int(file.stem[1:])}" for file in sorted(HERE.glob("g[0-9][0-9].py"))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="GOAL", help=f"any of {' '.join(goals())}; all of them unless said")
    parser.add_argument("--full", action="store_true", help="as large as the goal asks for")
    chosen = parser.parse_args()
    names = [name.upper() for name in chosen.names] or goals()
    if unknown := [name for name in names if name not in goals()]:
        parser.error(f"there is no goal {', '.join(unknown)}; there are {', '.join(goals())}")
    missed = 0
    for name in names:
        goal = cast("Goal", importlib.import_module(f"goals.g{int(name[1:]):02}"))
        title = (goal.__doc__ or name).splitlines()[0]
        print(f"{name}  {title}", flush=True)
        began = time.monotonic()
        for figure in goal.measure(chosen.full):
            value = "unknown" if figure.value is None else f"{figure.value:,.4g} {figure.unit}".rstrip()
            asked = f"{'at least' if figure.least else 'at most'} {figure.limit:,.6g} {figure.unit}".rstrip()
            note = f"  ({figure.note})" if figure.note else ""
            print(f"    {verdict(figure):<13} {figure.what}: {value}, goal {asked}{note}", flush=True)
            missed += figure.met is False
        print(f"    in {time.monotonic() - began:.0f} s", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
