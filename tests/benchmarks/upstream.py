"""A fake provider that costs next to nothing: prebuilt Chat Completions and Messages bytes, a bare asyncio protocol.

The path says how it answers: `/n<deltas>/g<microseconds between them>/v1/chat/completions` or `/messages`; a gap of 0
sends the whole stream at once. `/t<turns>/v1/...` asks for the tool named `add` so often before it answers,
`/w<milliseconds>/v1/...` waits first. Prints its port. Run as a process of its own, on another CPU than what is
measured.
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


def _calls() -> tuple[bytes, bytes]:
    """A reply that asks for a tool, whole and as a stream; NAME, CALL and 7777 are what is different each time."""
    function = {"name": "NAME", "arguments": '{"a": 7777, "b": 3}'}
    call = {"id": "CALL", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls", "logprobs": None}]
    whole = {**HEAD, "object": "chat.completion", "choices": choices, "usage": USAGE}
    started = {**call, "index": 0, "function": {"name": "NAME", "arguments": ""}}
    deltas: list[tuple[object, str | None]] = [
        ({"role": "assistant", "content": None, "tool_calls": [started]}, None),
        *(
            ({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, None)
            for piece in ('{"a"', ": 7777, ", '"b": 3}')
        ),
        ({}, "tool_calls"),
    ]
    events = [
        {**HEAD, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        for delta, finish in deltas
    ]
    events.append({**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    return json.dumps(whole).encode(), b"".join(lines) + b"data: [DONE]\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE = {False: _reply(messages=False), True: _reply(messages=True)}
STREAMS: dict[tuple[int, bool], list[bytes]] = {}
PATH = re.compile(rb"POST /n(\d+)/g(\d+)/v1/(chat/completions|messages|v1/messages)")
TURNS = re.compile(rb"POST /t(\d+)/v1/chat/completions")
WAIT = re.compile(rb"POST /w(\d+)/v1/chat/completions")
CALLS = _calls()
TOOL = re.compile(rb'"name": ?"([a-z_]*add)"')
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
        if turns := TURNS.match(request):
            self.turn(request, int(turns[1]))
            return
        if wait := WAIT.match(request):
            asyncio.get_running_loop().call_later(int(wait[1]) / 1e3, self.say, 20, False, request)
            return
        found = PATH.match(request)
        if found is None:
            self.transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return
        self.say(int(found[1]), found[3].endswith(b"messages"), request, int(found[2]))

    def say(self, deltas: int, messages: bool, request: bytes, gap: int = 0) -> None:
        assert self.transport is not None
        if not STREAMED.search(request):
            self.transport.write(WHOLE[messages])
            return
        if (events := STREAMS.get((deltas, messages))) is None:
            events = STREAMS[deltas, messages] = _message_events(deltas) if messages else _events(deltas)
        if gap:
            self.task = asyncio.create_task(self.paced(events, gap / 1e6))
        else:
            self.transport.write(SSE + _chunk(b"".join(events)) + b"0\r\n\r\n")

    def turn(self, request: bytes, turns: int) -> None:
        """The next call of an agent that has had so many results, or the answer."""
        assert self.transport is not None
        done = request.count(b'"tool_call_id"')
        if done >= turns:
            self.say(20, False, request)
            return
        tools = TOOL.findall(request)
        assert tools, "the agent offers no tool to add with"
        whole, stream = (
            part.replace(b"NAME", tools[-1]).replace(b"CALL", b"call_%d" % done).replace(b"7777", b"%d" % done)
            for part in CALLS
        )
        if STREAMED.search(request):
            self.transport.write(SSE + _chunk(stream) + b"0\r\n\r\n")
        else:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            self.transport.write(head % len(whole) + whole)

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
