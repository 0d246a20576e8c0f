"""A server that is told to end with many calls under way: how long it takes, and what is left of each."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faults.replies import SSE
from faults.server import FaultServer, Reply
from load.crowd import crowd
from load.provider import provided
from server.http.talking import said

if TYPE_CHECKING:
    from pathlib import Path

HALF = said("half an answer")
HANGING = Reply(headers=SSE, body=HALF, framing="chunked", hang=len(HALF))
WAYS = [("stdio", "EOF"), *((transport, how) for transport in ("stdio", "http") for how in ("SIGTERM", "SIGINT"))]
"""Of HTTP there is no end of input."""


LEFT = """SELECT count(*) FROM runs WHERE status != 'cancelled' OR result NOT LIKE '%half an answer%' OR (
    id IN (SELECT run FROM run_events) AND id NOT IN (SELECT run FROM run_events WHERE kind IN ('finish', 'error')))"""
"""A call that was no run yet has no journal: its row is all there is of it, and says how it ended and what had come."""


@dataclass(frozen=True)
class Ended:
    """What came of it. `left` are runs whose end is not written down, `open` connections to the provider that are."""

    seconds: float
    code: int
    runs: int
    left: int
    open: int
    untold: int
    """Calls whose client was told nothing."""


def end(transport: str, how: str, calls: int, home: Path) -> Ended:
    """Begin these calls, every fifth an agent's; end the server that way once all of them are at the provider."""
    with FaultServer([HANGING]) as provider:
        provided(home, provider.url, {"gate": ""})
        with crowd(transport, home) as client:
            for number in range(calls):
                tool = "generate" if number % 5 else "run_agent"
                client.call(tool, {"prompt": "hi", "model": "gate:m", "wait_s": 600})
            for _ in range(calls):
                provider.wait_request(60)
            client.ask("list_models", {})  # by then it has read the words that had left
            process = client.wire.process
            began = time.monotonic()
            if how == "EOF":
                assert process.stdin is not None
                process.stdin.close()
            else:
                process.send_signal(getattr(signal, how))
            while client.sent and client.read(0.2) is not None:
                pass
            code = process.wait(30)
            seconds = time.monotonic() - began
            closed = 0
            while closed < calls:
                provider.wait_closed(5)
                closed += 1
            untold = len(client.sent)
    with closing(sqlite3.connect(home / "state.db")) as connection, connection:
        runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        left = connection.execute(LEFT).fetchone()[0]
    return Ended(seconds, code, runs, left, calls - closed, untold)
