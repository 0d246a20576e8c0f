"""Measures what we cost against the floor and the peers, and prints one table with the goals.

    python tests/benchmarks/run.py [--quick] [--rounds 5] [--only call stream ...] [--peers openai litellm ...]
                                   [--markdown]

CPU of the process under test is the measure; a ratio is the median of the ratios of single rounds, in which everybody
runs once, in rotated order; the least and the most of them stand beside it. Peers are installed on demand, each into
its own environment under --venvs. Linux only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import agents
import batches
import clients
import fanout
import graphs
import http_under_test
import servers_under_test as served
import state
from peers import PEERS, conditions, environment
from table import markdown, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from table import Row

HERE = Path(__file__).resolve().parent
KINDS = [*clients.CASES, "server", "http", "start", "agent", "fanout", "batch", "graph", "durable"]


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 rounds, a quarter of the calls, no peers")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument(
        "--peers", nargs="*", choices=list(PEERS), help="all of them unless said; none after a bare --peers"
    )
    parser.add_argument("--markdown", action="store_true", help="for a page: with the machine and the versions")
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "mcp-llm-benchmark-venvs")
    chosen = parser.parse_args()
    rounds = chosen.rounds or (2 if chosen.quick else 5)
    share = 0.25 if chosen.quick else 1.0
    names = chosen.peers if chosen.peers is not None else [] if chosen.quick else list(PEERS)
    pythons = {name: python for name in names if (python := environment(name, chosen.venvs)) is not None}
    if os.cpu_count() != 1:
        os.sched_setaffinity(0, {1})  # CPU 0 is for what is measured
    rows: list[Row] = []
    with upstream() as base:
        kinds = [kind for kind in chosen.only if kind in clients.CASES]
        rows += clients.rows(clients.measure(base, kinds, rounds, share, clients.runners(pythons)))
        if "server" in chosen.only:
            rows += served.calls(f"{base}/n20/g0/v1", rounds, share)
        if "http" in chosen.only:
            rows += http_under_test.rows(base, rounds, share)
        if "start" in chosen.only:
            rows += served.starts(f"{base}/n20/g0/v1", rounds, pythons)
        if "agent" in chosen.only:
            rows += agents.rows(base, rounds, share, pythons)
        if "fanout" in chosen.only:
            rows += fanout.rows(base, rounds, share)
        if "batch" in chosen.only:
            rows += batches.rows(base, rounds, share)
        if "graph" in chosen.only:
            rows += graphs.rows(rounds, share)
        if "durable" in chosen.only:
            rows += state.rows(rounds)
    told = conditions(rounds, pythons)
    if chosen.markdown:
        markdown(rows, list(pythons), told)
    else:
        show(rows, list(pythons))
        print("\n".join(told), file=sys.stderr)
    missed = [row.work.strip() for row in rows if row.missed]
    print(f"\n{len(missed)} of {sum(row.goal is not None for row in rows)} goals missed")


if __name__ == "__main__":
    main()
