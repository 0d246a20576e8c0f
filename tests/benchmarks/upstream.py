"""A fake provider that costs next to nothing: prebuilt Chat Completions bytes, over a bare asyncio protocol.

The path says how it answers: `/n<deltas>/g<microseconds between them>/v1/chat/completions`; a gap of 0 sends the whole
stream at once. Prints its port. Run as a process of its own, on another CPU than what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys

TEXT = "The quick brown fox jumps over the lazy dog. " * 20
HEAD = {"id": "chatcmpl-1", "created": 1790000000, "model": "bench-1"}
USAGE = {"prompt_tokens": 60, "completion_tokens": 200, "total_tokens": 260, "prompt_tokens_details": {"cached_tokens": 0}}


def _reply() -> bytes:
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
    body = json.dumps({**HEAD, "object": "chat.completion", "choices": choices, "usage": USAGE}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def _events(deltas: int) -> list[bytes]:
    def event(choices: list[object], **more: object) -> bytes:
        payload = {**HEAD, "object": "chat.completion.chunk", "system_fingerprint": "fp_1", "choices": choices, **more}
        return b"data: " + json.dumps(payload).encode() + b"\n\n"

    def choice(delta: object, finish: str | None = None) -> list[object]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    events = [event(choice({"role": "assistant", "content": ""}))]
    events += [event(choice({"content": f" word{index % 10}"})) for index in range(deltas)]
    events += [event(choice({}, "stop")), event([], usage=USAGE), b"data: [DONE]\n\n"]
    return events


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE = _reply()
STREAMS: dict[int, list[bytes]] = {}
PATH = re.compile(rb"POST /n(\d+)/g(\d+)/")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
STREAMED = re.compile(rb'"stream": ?true')


class Upstream(asyncio.Protocol):
    """One connection; requests one after another."""

    def __init__(self) -> None:
        self.data = b""
        self.transport: asyncio.Transport | None = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.task:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            found = LENGTH.search(self.data, 0, end + 2)
            size = end + 4 + (int(found[1]) if found else 0)
            if len(self.data) < size:
                return
            request, self.data = self.data[:size], self.data[size:]
            self.answer(request)

    def answer(self, request: bytes) -> None:
        assert self.transport is not None
        if not STREAMED.search(request):
            self.transport.write(WHOLE)
            return
        found = PATH.match(request)
        deltas, gap = (int(found[1]), int(found[2])) if found else (20, 0)
        events = STREAMS.get(deltas) or STREAMS.setdefault(deltas, _events(deltas))
        if gap:
            self.task = asyncio.create_task(self.paced(events, gap / 1e6))
        else:
            self.transport.write(SSE + _chunk(b"".join(events)) + b"0\r\n\r\n")

    async def paced(self, events: list[bytes], gap: float) -> None:
        assert self.transport is not None
        self.transport.write(SSE)
        due = asyncio.get_running_loop().time()
        for event in events:
            self.transport.write(_chunk(event))
            due += gap
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        self.transport.write(b"0\r\n\r\n")


async def main() -> None:
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), lambda: stop.done() or stop.set_result(None))
    await stop


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
