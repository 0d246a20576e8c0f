"""A fake provider that costs next to nothing: prebuilt Chat Completions and Messages bytes, a bare asyncio protocol.

The path says how it answers: `/n<deltas>/g<microseconds between them>/v1/chat/completions` or `/messages`; a gap of 0
sends the whole stream at once. Prints its port. Run as a process of its own, on another CPU than what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys

SENTENCE = "The quick brown fox jumps over the lazy dog. "
TEXT = SENTENCE * 20
HEAD = {"id": "chatcmpl-1", "created": 1790000000, "model": "bench-1"}
USAGE = {"prompt_tokens": 60, "completion_tokens": 200, "total_tokens": 260}
MESSAGE: dict[str, object] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "bench-1",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 60, "output_tokens": 200},
}


def _reply(messages: bool) -> bytes:
    reply: dict[str, object] = {**MESSAGE, "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn"}
    if not messages:
        message = {"role": "assistant", "content": TEXT, "refusal": None}
        choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
        reply = {**HEAD, "object": "chat.completion", "choices": choices, "usage": USAGE}
    body = json.dumps(reply).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def _pieces(deltas: int) -> list[str]:
    """Twenty deltas say what a whole reply says, so that the two can be compared."""
    return [SENTENCE] * deltas if deltas == 20 else [f" word{index % 10}" for index in range(deltas)]


def _message_events(deltas: int) -> list[bytes]:
    def event(kind: str, **more: object) -> bytes:
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps({"type": kind, **more}).encode())

    text = [{"type": "text_delta", "text": piece} for piece in _pieces(deltas)]
    return [
        event("message_start", message=MESSAGE),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(event("content_block_delta", index=0, delta=delta) for delta in text),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 200}),
        event("message_stop"),
    ]


def _events(deltas: int) -> list[bytes]:
    def event(choices: list[object], **more: object) -> bytes:
        payload = {**HEAD, "object": "chat.completion.chunk", "system_fingerprint": "fp_1", "choices": choices, **more}
        return b"data: " + json.dumps(payload).encode() + b"\n\n"

    def choice(delta: object, finish: str | None = None) -> list[object]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    events = [event(choice({"role": "assistant", "content": ""}))]
    events += [event(choice({"content": piece})) for piece in _pieces(deltas)]
    events += [event(choice({}, "stop")), event([], usage=USAGE), b"data: [DONE]\n\n"]
    return events


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE = {False: _reply(messages=False), True: _reply(messages=True)}
STREAMS: dict[tuple[int, bool], list[bytes]] = {}
PATH = re.compile(rb"POST /n(\d+)/g(\d+)/v1/(chat/completions|messages|v1/messages)")
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
        found = PATH.match(request)
        if found is None:
            self.transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return
        deltas, gap, messages = int(found[1]), int(found[2]), found[3].endswith(b"messages")
        if not STREAMED.search(request):
            self.transport.write(WHOLE[messages])
            return
        if (events := STREAMS.get((deltas, messages))) is None:
            events = STREAMS[deltas, messages] = _message_events(deltas) if messages else _events(deltas)
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
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    await stop.wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
