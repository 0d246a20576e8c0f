"""Measures what we cost against the floor and the peers, and prints one table with the goals.

    python tests/benchmarks/run.py [--rounds 5] [--only call stream server start] [--peers openai litellm ...]

CPU of the process under test is the measure; a ratio is the median of the ratios of single rounds, in which everybody
runs once, in rotated order. Peers are installed on demand, each into its own environment under --venvs. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import servers_under_test as served

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
PEERS = {
    "openai": ("openai_sdk", ["openai>=3.52,<4"]),
    "anthropic": ("anthropic_sdk", ["anthropic>=2.11,<3"]),
    "litellm": ("litellm_library", ["litellm"]),
    "pydantic-ai": ("pydantic_ai_direct", ["pydantic-ai-slim[openai]"]),
    "any-llm": ("any_llm_instance", ["any-llm-sdk[openai]"]),
}
CASES = {
    "call": ["call 1", "call 32", "call 256"],
    "stream": ["burst", "paced", "first"],
}
WORDS = {
    "call 1": "call, 1 at a time, us",
    "call 32": "call, 32 in flight, us",
    "call 256": "call, 256 in flight, us",
    "burst": "stream at once, us a delta",
    "paced": "32 streams of 50/s, us a delta",
    "first": "first token, ms",
}
GOALS = {"call 1": 0.9, "call 32": 0.9, "call 256": 0.7, "burst": 0.9, "paced": 0.8}
FIRST_TOKEN_MS = 0.2
Row = tuple[str, float, float, str, str, bool | None]
Rounds = dict[str, dict[str, list[float]]]


@contextmanager
def upstream() -> Iterator[str]:
    """The fake provider in a process of its own; its base URL."""
    process = subprocess.Popen([sys.executable, HERE / "upstream.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


def environment(name: str, packages: list[str], venvs: Path) -> Path | None:
    """The Python of a peer's own environment, made when it is not there; None when it cannot be."""
    folder = venvs / name
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"installing {name} ...", file=sys.stderr)
        install = [str(python), "-m", "pip", "install", "-q", *packages]
        for command in ([sys.executable, "-m", "venv", str(folder)], install):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name} is left out: {(done.stderr or done.stdout).strip()[-300:]}", file=sys.stderr)
                return None
        (folder / "ready").touch()
    return python


def drive(python: Path, driver: str, base: str, cases: list[str], **env: str) -> dict[str, float] | None:
    """One round of one peer in a fresh process; None when it fails."""
    plan = json.dumps({"base": base, "cases": cases})
    done = subprocess.run(
        [python, HERE / "drivers" / f"{driver}.py", plan],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )
    if done.returncode:
        print(f"{driver} failed: {done.stderr.strip()[-600:]}", file=sys.stderr)
        return None
    told: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])["cases"]
    return told


def measure_clients(base: str, cases: list[str], rounds: int, peers: dict[str, tuple[Path, str]]) -> Rounds:
    """Case -> who -> one figure a round. Who fails once is left out."""
    found: Rounds = defaultdict(lambda: defaultdict(list))
    who = list(peers)
    for number in range(rounds):
        shift = number % len(who)
        for name in who[shift:] + who[:shift]:
            if name not in peers:
                continue
            python, driver = peers[name]
            if name == "streamed":  # the other cases are streams already
                calls = [case for case in cases if case in CASES["call"]]
                told = drive(python, driver, base, calls, STREAMED="1")
            else:
                told = drive(python, driver, base, cases)
            if told is None:
                del peers[name]
                continue
            for case, value in told.items():
                found[case][name].append(value)
    return found


def ratio(values: list[float], floor: list[float]) -> float:
    """Median of the ratios of single rounds."""
    return statistics.median(a / b for a, b in zip(values, floor, strict=False))


def client_rows(found: Rounds) -> Iterator[Row]:
    for case, values in found.items():
        floor, ours = values["floor"], values.get("ours")
        if not ours:
            continue
        mine, base = statistics.median(ours), statistics.median(floor)
        if case == "first":
            more = statistics.median(a - b for a, b in zip(ours, floor, strict=True))
            yield WORDS[case], mine, base, f"{more:+.2f} ms", f"<= +{FIRST_TOKEN_MS} ms", more <= FIRST_TOKEN_MS
        else:
            got = ratio(ours, floor)
            yield WORDS[case], mine, base, f"{got:.2f}", f"<= {GOALS[case]}", got <= GOALS[case]
        for name, peer in values.items():
            if name not in {"floor", "ours"}:
                yield f"    {name}", statistics.median(peer), base, f"{ratio(peer, floor):.2f}", "", None


def show(rows: list[Row]) -> None:
    """The table."""
    print(f"{'work':<42}{'ours':>10}{'floor':>10}{'ratio':>12}{'goal':>14}")
    for work, mine, floor, got, goal, fine in rows:
        mark = {True: "", False: "  missed", None: ""}[fine]
        print(f"{work:<42}{mine:>10.1f}{floor:>10.1f}{got:>12}{goal:>14}{mark}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=[*CASES, "server", "start"], default=[*CASES, "server", "start"])
    parser.add_argument("--peers", nargs="*", choices=[*PEERS, "all"], default=[])
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "mcp-llm-benchmark-venvs")
    chosen = parser.parse_args()
    here = Path(sys.executable)
    peers: dict[str, tuple[Path, str]] = {"floor": (here, "floor"), "ours": (here, "ours"), "streamed": (here, "ours")}
    for name in PEERS if "all" in chosen.peers else chosen.peers:
        driver, packages = PEERS[name]
        if (python := environment(name, packages, chosen.venvs)) is not None:
            peers[name] = (python, driver)
    rows: list[Row] = []
    with upstream() as base:
        if cases := [case for kind in chosen.only if kind in CASES for case in CASES[kind]]:
            rows += client_rows(measure_clients(base, cases, chosen.rounds, peers))
        if "server" in chosen.only:
            rows += served.calls(f"{base}/n20/g0/v1", chosen.rounds)
        if "start" in chosen.only:
            rows += served.starts(f"{base}/n20/g0/v1", chosen.rounds)
    show(rows)


if __name__ == "__main__":
    main()
