"""A crowd that comes at once, and a long row of calls over two providers that fail now and then: what came of them."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from load.crowd import Http, crowd
from load.provider import many_files, provided, providing
from load.watched import Held, held

from mcp_llm.http.origins import KEEP_SECONDS

if TYPE_CHECKING:
    from load.crowd import Answer

ASKED = {"prompt": "hi", "model": "gate:m", "wait_s": 600}
SETTINGS = """default = "a:m"
fallbacks = ["b:m"]
[timeouts]
first_byte = 2
idle = 2
total = 60
"""
ALL_CLOSED = KEEP_SECONDS + 5
"""Seconds after which no connection to a provider rests any more."""


@dataclass(frozen=True)
class Crowded:
    """What came of calls that were made at once; `peak` MiB of the server."""

    served: int
    told: list[float]
    """Milliseconds until each of those for whom there was no room was told so."""
    lost: int
    peak: float


@dataclass(frozen=True)
class Rowed:
    """What came of a row of calls; what the server held after the first tenth and at the end, at rest."""

    answers: list[Answer]
    before: Held
    after: Held


def at_once(transport: str, calls: int, *, room: int = 1000, surplus: int = 0) -> Crowded:
    """So many calls in the same moment, each of which takes some seconds; then `surplus` more, one after another."""
    many_files()
    with providing("slow", "8") as url, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        provided(home, url, {"gate": ""}, f"max_calls = {room}\n")
        with crowd(transport, home) as client:
            if transport == "http":
                cast("Http", client.wire).connect(calls)
            for _ in range(calls):
                client.call("generate", ASKED)
            sockets = room if transport == "stdio" else 2 * room  # those of the clients too
            while surplus and held(client.pid).sockets < sockets:
                client.read(0.05)
            late = [client.ask("generate", ASKED) for _ in range(surplus)]
            answers = client.all(120)
            peak = held(client.pid).peak
    told = [answer.seconds * 1e3 for answer in (late if surplus else answers) if answer.busy]
    served = sum(answer.served for answer in answers)
    return Crowded(served, told, calls + surplus - served - sum(answer.busy for answer in answers), peak)


def in_a_row(transport: str, calls: int, *, share: float = 0.05, at_a_time: int = 50, rest: float = 2) -> Rowed:
    """So many calls over two providers, that share of whose replies fail: seven ways in turn, before the first word.

    `rest` seconds pass before what the server holds is looked at. Connections to a provider are kept for a while, some
    more or some less: where there are more than before, they have until `ALL_CLOSED` to go; one that stays then was
    forgotten.
    """
    many_files()
    with providing("faulty", str(share), "7") as url, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        provided(home, url, {"a": "a", "b": "b"}, SETTINGS)
        asked = ("generate", {"prompt": "hi", "wait_s": 600})
        with crowd(transport, home) as client:
            first = calls // 10
            client.through([asked] * first, at_a_time, 300)
            before = _at_rest(client.pid, rest)
            client.through([asked] * (calls - first), at_a_time, 3600)
            after = _at_rest(client.pid, rest)
            if after.files > before.files:
                after = _at_rest(client.pid, max(0.0, ALL_CLOSED - rest))
    return Rowed(client.answers, before, after)


def _at_rest(pid: int, seconds: float) -> Held:
    time.sleep(seconds)
    return held(pid)
