"""Replies that are broken, endless or bombs: the real error with what had come, little memory, never an empty success."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from faults.asking import CANARY, ask, failing, rows
from faults.replies import SSE, ok, sse
from faults.server import FaultServer, Reply

from mcp_llm.errors import Disconnected, Garbled, Overloaded, ProviderError, RateLimited, TooLarge

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
JSON = {"content-type": "application/json"}
OK = ok("openai", stream=True)


def event(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"id": "1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


FIRST = sse([event({"content": "Once upon"})])


def peak_since(mark: bool = False) -> float:
    """The peak of resident memory in MiB since it was last marked."""
    if mark:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


needs_linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's /proc")


# F7, T25: too much


@needs_linux
@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("a stream without end", Reply(headers=SSE, forever=sse([event({"content": "x" * 65_536})]), framing="chunked")),
        ("an event without end", Reply(headers=SSE, body=FIRST + b'data: {"choices":[{"delta":{"content":"', forever=b"x" * 65_536, framing="chunked")),
        ("a line without end", Reply(headers=SSE, forever=b"x" * 65_536, framing="chunked")),
        ("whole JSON without end", Reply(headers=JSON, body=b'{"choices":[{"message":{"content":"', forever=b"x" * 65_536, framing="chunked")),
        ("a length of 10 TiB", Reply(headers=JSON, body=b"{", length=10 * 1024**4, hang=1)),
        ("a gzip bomb", Reply(headers={**JSON, "content-encoding": "gzip"}, body=gzip.compress(b'{"a":"' + b"x" * (200 * MIB)))),
        ("a gzip bomb in a stream", Reply(headers={**SSE, "content-encoding": "gzip"}, body=gzip.compress(b"data: " + b"x" * (200 * MIB)))),
        ("an error without end", Reply(status=500, headers=JSON, forever=b"x" * 65_536, framing="chunked")),
    ],
)
async def test_too_much_is_stopped_at_a_cap_and_costs_little_memory(asking: Asking, name: str, reply: Reply) -> None:
    with FaultServer([reply]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(timeouts={"connect": 2, "first_byte": 5, "idle": 5, "total": 30}) as service:
            before = peak_since(mark=True)
            error = await failing(service, model)
            grown = peak_since() - before
            found = await rows(service)
    print(f"{name}: {grown:.0f} MiB more; {error}")
    assert isinstance(error, TooLarge)
    assert (len(server.requests), found) == (1, [("acme", "too_large")])
    assert grown <= 64
