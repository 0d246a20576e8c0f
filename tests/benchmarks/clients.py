"""Client libraries against the fake provider: who takes part, the rounds, and the rows that come of them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from peers import PEERS
from table import Row, Spread, compared, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
CALLS = ("call 1", "call 32", "call 256")
CASES = {"call": CALLS, "stream": ("burst", "paced", "first"), "flight": ("flight",)}
GOALS = {"call 1": 0.9, "call 32": 0.9, "call 256": 0.7, "burst": 0.9, "paced": 0.8}
FIRST_TOKEN_MS = 0.2
FLIGHT_MB = 256
LONGEST = 180
"""Seconds of one driver; a thousand streams at once take some libraries for ever, or run into their own timeouts."""
Rounds = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True)
class Runner:
    """Somebody who takes part: which Python runs which driver, how it is told its variant, and in which cases."""

    python: Path
    driver: str
    env: dict[str, str] = field(default_factory=dict)
    cases: tuple[str, ...] = (*CALLS, "burst", "paced", "first", "flight")


def runners(pythons: dict[str, Path]) -> dict[str, Runner]:
    """The floors, both of ours, and the peers whose Pythons these are."""
    here = Path(sys.executable)
    everybody = {
        "floor": Runner(here, "floor"),
        "floor, streamed": Runner(here, "floor", {"STREAMED": "1"}, CALLS),
        "ours": Runner(here, "ours"),
        "ours, streamed": Runner(here, "ours", {"STREAMED": "1"}, CALLS),
    }
    if "anthropic" in pythons:
        everybody["floor, Messages"] = Runner(here, "floor", {"MESSAGES": "1"})
    peers = {name: Runner(python, driver) for name, python in pythons.items() if (driver := PEERS[name].driver)}
    return everybody | peers


def drive(runner: Runner, base: str, cases: list[str], share: float) -> dict[str, float] | None:
    """One round of one of them in a fresh process; None when it fails."""
    plan = json.dumps({"base": base, "cases": cases, "share": share})
    try:
        done = subprocess.run(
            [runner.python, HERE / "drivers" / f"{runner.driver}.py", plan],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **runner.env},
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired:
        print(f"{runner.driver} was not done with {', '.join(cases)} after {LONGEST} s", file=sys.stderr)
        return None
    if done.returncode:
        print(f"{runner.driver} failed: {done.stderr.strip()[-600:]}", file=sys.stderr)
        return None
    told: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def measure(base: str, kinds: list[str], rounds: int, share: float, everybody: dict[str, Runner]) -> Rounds:
    """Case -> who -> one figure a round, in rotated order. Who fails once is left out."""
    found: Rounds = defaultdict(lambda: defaultdict(list))
    who = list(everybody)
    failed: set[str] = set()
    cases = [case for kind in kinds if kind != "flight" for case in CASES[kind]]
    for number in range(rounds if cases else 0):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        shift = number % len(who)
        for name in who[shift:] + who[:shift]:
            mine = [case for case in cases if case in everybody[name].cases]
            if not mine or name in failed:
                continue
            told = drive(everybody[name], base, mine, share)
            if told is None:
                failed.add(name)
                for values in found.values():
                    values.pop(name, None)
                continue
            for case, value in told.items():
                found[case][name].append(value)
    if "flight" in kinds:  # memory hardly varies, and it is the slowest case: once
        for name, runner in everybody.items():
            if "flight" in runner.cases and name not in failed and (told := drive(runner, base, ["flight"], share)):
                found["flight"][name].append(told["flight"])
    return found


def rows(found: Rounds) -> Iterator[Row]:
    """The table's rows of what was measured."""
    for case, values in found.items():
        if not ({"ours", "floor"} <= values.keys()):
            continue
        ours, floor = values["ours"], values["floor"]
        peers = {
            name: (values[name], values[peer.floor])
            for name, peer in PEERS.items()
            if name in values and peer.floor in values
        }
        if case == "first":
            yield _first(ours, floor, peers)
        elif case == "flight":
            words, most = {name: spread(pair[0]) for name, pair in peers.items()}, max(ours)
            yield Row("1,000 streams in flight", "RSS MB", most, max(floor), most, FLIGHT_MB, words, "{:.0f}")
        elif case in CALLS:
            yield from _call(case, values, peers)
        else:
            words_ = {"burst": "stream, all at once", "paced": "stream, 32 x 50 deltas/s"}[case]
            yield compared(words_, "us/delta", ours, floor, GOALS[case], peers)


def _call(
    case: str, values: dict[str, list[float]], peers: dict[str, tuple[list[float], list[float]]]
) -> Iterator[Row]:
    words, goal = f"call, {case.partition(' ')[2]} at a time", GOALS[case]
    yield compared(f"{words}, whole reply", "us", values["ours"], values["floor"], goal, peers)
    if (streamed := values.get("ours, streamed")) is None:
        return
    # Streamed is how we ask by default: against a bare client that streams too, and against one that does not.
    if "floor, streamed" in values:
        yield compared("  streamed, like for like", "us", streamed, values["floor, streamed"], goal)
    yield compared("  streamed, floor whole", "us", streamed, values["floor"], goal)


def _first(ours: list[float], floor: list[float], peers: dict[str, tuple[list[float], list[float]]]) -> Row:
    def more(values: list[float], base: list[float]) -> Spread:
        return spread([a - b for a, b in zip(values, base, strict=False)])

    others = {name: more(*pair) for name, pair in peers.items()}
    mine, base = statistics.median(ours), statistics.median(floor)
    got, least, most = more(ours, floor)
    words = "first token, over the floor"
    return Row(words, "ms", mine, base, got, FIRST_TOKEN_MS, others, "{:+.2f}", (least, most))
