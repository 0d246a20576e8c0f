"""What providers send: bytes of replies, cut anywhere, of every wire; frames of a socket; errors and their headers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Error, ProviderError
from mcp_llm.types.chat import Fold
from mcp_llm.wires import chat, failures, realtime
from mcp_llm.wires.frames import Frames
from mcp_llm.wires.reply import Reply, parse
from mcp_llm.wires.whole import decoded

from .picks import Picks
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_llm.wires.base import Framing

BOM: Final = b"\xef\xbb\xbf"


def pieces(data: bytes, mark: int) -> list[bytes]:
    """The data cut up: bytes one by one, in equal pieces, or with an empty one between."""
    size = (1, 2, 3, 7, 16, 61, 200, 1000)[mark % 8]
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    return [piece for one in cut for piece in ((one, b"") if mark & 8 else (one,))]


def read(framing: Framing, given: list[bytes]) -> list[tuple[str | None, bytes]]:
    frames = Frames(framing)
    found = [payload for piece in given for payload in frames.feed(piece)]
    return found + frames.close()


def framed(framing: Framing, data: bytes) -> None:
    """However it is cut, the same payloads, and no more bytes than came."""
    mark, body = data[:1], data[1:]
    whole = read(framing, [body])
    assert read(framing, pieces(body, mark[0] if mark else 0)) == whole
    assert sum(len(payload) for _, payload in whole) <= len(body)


def bare(framing: Framing, data: bytes) -> None:
    """One way to read it, without the comparison."""
    read(framing, [data])


def told(wire: chat.ChatWire, quirks: Any, given: list[bytes]) -> tuple[object, ...]:  # type: ignore[name-defined]
    """What comes of a reply: a response, or the error and the words before it."""
    fold = Fold()
    reply = Reply(wire, quirks)
    try:
        for chunk in _chunks(reply, given):
            fold.add(chunk)
        response = fold.response()
    except ProviderError as error:
        return fold.text(), type(error), str(error), error.status, error.code
    response.message.text.encode()  # every text can be written down
    return (response,)


def _chunks(reply: Reply, given: list[bytes]) -> Iterator[Any]:
    for piece in given:
        if reply.done:
            break  # as the transport does: what a server says after its end is not read
        yield from reply.feed(piece)
    yield from reply.close()


def chatted(name: str, data: bytes) -> None:
    """A reply of one wire reads the same whole and cut, or fails the same way."""
    wire = chat.wire(name)
    quirks = wire.Quirks()
    mark, body = data[:1], data[1:]
    assert told(wire, quirks, pieces(body, mark[0] if mark else 0)) == told(wire, quirks, [body])


def conversed(name: str, data: bytes) -> None:
    """Frames of a socket, a line each: events or Garbled or the provider's error."""
    wire = realtime.wire(name)
    decoder = wire.Decoder(wire.Quirks())
    for line in data.split(b"\n"):
        try:
            frame = parse(line)
        except (ValueError, RecursionError):
            continue
        try:
            decoded(lambda: list(decoder.feed(frame)))  # noqa: B023 - called at once
        except Error:
            return


def failed(data: bytes) -> None:
    """A status, headers and a body become an error that can be shown, with a wait that can be waited."""
    picks = Picks(data)
    status = picks.of((400, 401, 404, 408, 429, 500, 503, 529, 599, 418))
    names = ("retry-after", "date", "retry-after-ms", "x-should-retry", "x-request-id")
    headers = {}
    for name in names[: picks.byte() % 6]:
        size = picks.byte()
        headers[name] = picks.data[picks.at : picks.at + size].decode("latin-1")
        picks.at += size
    error = failures.failure(status, headers, picks.rest())
    str(error).encode()
    assert len(str(error)) < 40_000
    seconds = failures.retry_after(headers)
    assert seconds is None or (math.isfinite(seconds) and seconds > 0)


_OPENAI: Final = (
    b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":" \\ud83d"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"\\ude00","tool_calls":[{"index":0,"id":"c","function":'
    b'{"name":"f","arguments":"{\\"a\\":"}}]}}]}\n\n'
    b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},'
    b'"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n\n'
)
_RESPONSES: Final = (
    b'event: response.created\ndata: {"type":"response.created","response":{"id":"r","model":"m"}}\n\n'
    b'data: {"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"i"}}\n\n'
    b'data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hi"}\n\n'
    b'data: {"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"i","content":'
    b'[{"type":"output_text","text":"Hi"}]}}\n\n'
    b'data: {"type":"response.completed","response":{"id":"r","status":"completed","usage":{"input_tokens":1,'
    b'"output_tokens":2}}}\n\n'
)
_ANTHROPIC: Final = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"c",'
    b'"usage":{"input_tokens":1}}}\n\n'
    b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}\n\n'
    b'data: {"type":"content_block_stop","index":0}\n\n'
    b'data: {"type":"content_block_start","index":1,'
    b'"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}\n\n'
    b'data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}\n\n'
    b'data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}\n\n'
    b'data: {"type":"message_stop"}\n\n'
)
_GEMINI: Final = (
    b'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"}}],"modelVersion":"g"}\n\n'
    b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}},'
    b'"thoughtSignature":"cw=="}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2}}\n\n'
)
_OLLAMA: Final = (
    b'{"model":"m","message":{"role":"assistant","content":"Hi","thinking":"so"},"done":false}\n'
    b'{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":false}\n'
    b'{"done":true,"done_reason":"stop","prompt_eval_count":1,"eval_count":2}\n'
)
_JSON: Final = (b'{"', b'":', b"null", b"[]", b"{}", b"-1", b"1e999", b'"\\ud800"', b"NaN", b"9" * 40, b"[[", b"true")
_SSE: Final = (
    b"data:",
    b"data: ",
    b"event: ",
    b"\n\n",
    b"\r\n",
    b"\r",
    b": ",
    b"id: 1\n",
    b"retry: 1\n",
    b"[DONE]",
    BOM,
)
_WIRES: Final = {
    "openai": (
        _OPENAI,
        b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}',
        b'data: {"error":{"code":429}}',
    ),
    "responses": (
        _RESPONSES,
        b'{"id":"r","output":[{"type":"message","content":[{"type":"output_text","text":"Hi"}]}]}',
    ),
    "anthropic": (_ANTHROPIC, b'{"type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn"}'),
    "gemini": (_GEMINI, b'[{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}]'),
    "ollama": (_OLLAMA, b'{"error":"no"}'),
}
_NAMES: Final = {
    "openai": (
        b'"delta"',
        b'"content"',
        b'"tool_calls"',
        b'"index"',
        b'"reasoning"',
        b'"refusal"',
        b'"usage"',
        b'"error"',
    ),
    "responses": (
        b'"type"',
        b'"response.failed"',
        b'"delta"',
        b'"item"',
        b'"output_index"',
        b'"function_call"',
        b'"error"',
    ),
    "anthropic": (
        b'"content_block_delta"',
        b'"thinking_delta"',
        b'"signature_delta"',
        b'"index"',
        b'"error"',
        b'"usage"',
    ),
    "gemini": (
        b'"parts"',
        b'"thought"',
        b'"functionCall"',
        b'"inlineData"',
        b'"promptFeedback"',
        b'"partialArgs"',
        b'"error"',
    ),
    "ollama": (b'"message"', b'"done"', b'"thinking"', b'"tool_calls"', b'"error"', b'"response"'),
}
_LONG: Final = {
    "openai": tuple(
        b'data: {"model":"m","choices":[{"delta":' + delta + b"}]}\n\n"
        for delta in (
            b'{"tool_calls":[{"function":{"name":"f","arguments":"{"}}]}',
            b'{"tool_calls":[{"index":0,"id":"c%d","function":{"name":"f","arguments":"{"}}]}',
            b'{"tool_calls":[{"index":%d,"function":{"name":"f","arguments":"{}"}}]}',
            b'{"tool_calls":[{"id":"c%d","function":{"name":"f","arguments":"{}"}}]}',
            b'{"refusal":"I cannot help with that. "}',
            b'{"reasoning_details":[{"type":"reasoning.text","text":"so"}]}',
        )
    ),
    "responses": (
        b'data: {"type":"response.refusal.delta","output_index":0,"delta":"I cannot help with that. "}\n\n',
        b'data: {"type":"response.function_call_arguments.delta","output_index":0,"delta":"{"}\n\n',
        b'data: {"type":"response.output_item.done","item":{"id":"i%d","type":"web_search_call"}}\n\n',
    ),
    "anthropic": (
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"a":1}}}\n\n',
        b'data: {"type":"content_block_start","index":%d,"content_block":{"type":"x","text":"a"}}\n\n',
    ),
    "gemini": (
        b'data: {"candidates":[{"citationMetadata":{"citations":[{"uri":"a"}]}}]}\n\n',
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]}}]}\n\n',
    ),
}
"""What a long answer repeats."""
_FAILURES: Final = (
    b'{"error":{"message":"slow down","type":"rate_limit_error","code":429}}',
    b'[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"3s"}]}}]',
    b'{"detail":[{"loc":["body","x"],"msg":"wrong"}]}',
    b'{"errors":[{"message":"no"}]}',
    b"<html>busy</html>",
)

TARGETS: Final = (
    Target(
        "sse",
        lambda data: framed("sse", data),
        tuple(b"\0" + one for one in (_OPENAI, _ANTHROPIC, BOM + b"data: x\r\rdata: y\n\n", b" {\n}", b"[1,\n2]")),
        _SSE,
        (
            *tuple(
                (b"\x06data: x\n\n" + head, repeated, b"")
                for head, repeated in (
                    *((b"", b"data: x\n\n"), (b"", b"\n"), (b"", b"\r"), (b"", b"data\n"), (b"", b"event: x\n")),
                    *((b"data: ", b"x"), (b"", b": "), (b"", b"id:1\r\n"), (b"event: ", b"\xff")),
                )
            ),
            (b"\x06", b" ", b""),
            (b"\x06{", b"\n", b""),
        ),
        bare=lambda data: bare("sse", data),
    ),
    Target(
        "jsonl",
        lambda data: framed("lines", data),
        (b"\0" + _OLLAMA, b'\0{"a":1}\r\n\r\n{"b":2}', b"\0data: x\n\n"),
        (*_JSON, b"\n", b"\r\n", b"\r", b" ", BOM),
        (
            (b"\6", b'{"a":1}\n', b""),
            (b"\6{", b"\n", b""),
            (b"\6{}", b"\r", b""),
            (b'\6{"', b"x", b""),
            (b"\6", b" \n", b""),
        ),
        bare=lambda data: bare("lines", data),
    ),
    *(
        Target(
            f"chat-{name}",
            lambda data, name=name: chatted(name, data),  # type: ignore[misc]
            tuple(b"\3" + one for one in samples),
            (*_JSON, *_SSE[:4], *_NAMES[name]),
            (
                *tuple((b"\x07", sample, b"") for sample in samples[:1]),
                (b"\x07" + samples[0], b'{"a":', b""),
                *((b"\x07", repeated, b"") for repeated in _LONG.get(name, ())),
            ),
            large=1_000_000,
        )
        for name, samples in _WIRES.items()
    ),
    Target(
        "realtime-openai",
        lambda data: conversed("openai", data),
        (
            b'{"type":"session.created","session":{}}\n{"type":"response.output_audio.delta","delta":"AAAA"}',
            (
                b'{"type":"response.done","response":{"status":"completed","output":[{"type":"function_call","call_id":"c",'
                b'"name":"f","arguments":"{}"}],"usage":{"input_tokens":1}}}\n{"type":"error","error":{"message":"no"}}'
            ),
        ),
        (*_JSON, b'"type"', b'"delta"', b'"response.output_text.delta"', b'"output"', b'"usage"'),
        ((b"", b'{"type":"response.output_audio.delta","delta":"AAAA"}\n', b""),),
    ),
    Target(
        "realtime-gemini",
        lambda data: conversed("gemini", data),
        (
            (
                b'{"setupComplete":{}}\n{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm;rate=24000",'
                b'"data":"AAAA"}},{"text":"a"}]},"turnComplete":true},"usageMetadata":{"promptTokenCount":1}}'
            ),
            b'{"toolCall":{"functionCalls":[{"id":"c","name":"f","args":{}}]}}\n{"goAway":{"timeLeft":"10s"}}',
            b'{"toolCallCancellation":{"ids":["c"]}}',
        ),
        (*_JSON, b'"serverContent"', b'"interrupted"', b'"modelTurn"', b'"timeLeft"', b"999999999s"),
        ((b"", b'{"serverContent":{"turnComplete":true}}\n', b""),),
    ),
    Target(
        "failure",
        failed,
        (
            *(b"\4\1\x0230" + one for one in _FAILURES),
            b"\4\2\x1dWed, 21 Oct 2026 07:28:00 GMT\x1dWed, 21 Oct 2026 07:27:00 GMT{}",
            b"\4\2\x1cSun Nov  6 08:49:37 1994 GMT\x1dWed, 21 Oct 2026 07:27:00 GMT{}",
        ),
        (*_JSON, b'"error"', b'"message"', b'"code"', b'"details"', b'"loc"', b"9" * 30, b" GMT", b"+0000", b"-9999"),
        (
            *((b"\4\0", one, b"") for one in (b"a", b" ", b'{"a":', b"[", b"\x1b")),
            *((b'\4\0{"error":"', one, b'"}') for one in (b"too many tokens ", b"input token count ", b"api key ")),
            (b"\4\1\xff", b"1", b""),
        ),
    ),
)
