"""Requests that a total outage costs: per logical call, and at most of one target for one call.

Down in every way that a provider can be: it answers 503, it is refused, it resets, it sends pages. Waits are noted, not
waited for; the breakers' clock is a hand that moves a second with every call.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from faults.asking import Asking
from faults.replies import ok
from faults.server import FaultServer, Reply
from goals.figure import Figure

from mcp_llm.errors import Error
from mcp_llm.llm.generate import Ask, generate

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL, SHORT = 1000, 300
OUTAGES = {
    "503": Reply(503, body=b'{"error": {"message": "down"}}'),
    "529 with a wait": Reply(529, {"retry-after": "1"}, b'{"error": {"message": "down"}}'),
    "reset": Reply(reset="headers"),
    "a page": Reply(502, {"content-type": "text/html"}, b"<html><title>502 Bad Gateway</title></html>"),
    "an error under 200": Reply(body=b'{"error": {"type": "overloaded_error", "message": "down"}}'),
}
PER_CALL, PER_TARGET = 1.1, 3


def measure(full: bool) -> Iterator[Figure]:
    """For every kind of outage: with another provider that serves, with none, and the first call of all."""
    calls = FULL if full else SHORT
    for what, reply in OUTAGES.items():
        spared, most, answered = anyio.run(outage, reply, calls, True)
        note = f"{calls} calls, {answered} of them answered by the next provider"
        yield Figure(f"{what}, another serves: requests per call", spared, "", PER_CALL, note=note)
        alone, alone_most, _ = anyio.run(outage, reply, calls, False)
        yield Figure(f"{what}, none serves: requests per call", alone, "", PER_CALL, note=f"{calls} calls")
        yield Figure(f"{what}: most requests of one target for one call", max(most, alone_most), "", PER_TARGET)


async def outage(reply: Reply, calls: int, served: bool) -> tuple[float, int, int]:
    """(requests a call, most of one target for one call, calls that were answered) of so many, a second apart."""
    sound = [ok("openai", stream=True) if served else reply]
    now, most, answered = [0.0], 0, 0
    with tempfile.TemporaryDirectory() as folder, FaultServer([reply]) as acme, FaultServer(sound) as backup:
        asking = Asking(Path(folder))
        asking.provider("acme", acme.url)
        asking.provider("backup", backup.url)
        asking.luck = 0.5
        settings: dict[str, Any] = {"default": "acme:m", "fallbacks": ["backup:m"], "timeouts": {"total": 60}}
        async with asking.open(**settings) as service:
            service.llm.breakers.clock = lambda: now[0]
            for _ in range(calls):
                before = [server.count() for server in (acme, backup)]
                with suppress(Error):
                    answered += (await generate(service, Ask("hi"))).response == "Hello there"
                most = max(most, acme.count() - before[0], backup.count() - before[1])
                now[0] += 1
        return (acme.count() + backup.count()) / calls, most, answered
