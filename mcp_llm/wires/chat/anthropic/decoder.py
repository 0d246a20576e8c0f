"""Replies of Anthropic's Messages dialect -> chunks; a block is a slot, and goes back as the block it was.

`echo` holds a block's other fields as the wire has them (signature, citations, caller). What has no neutral meaning -
redacted thinking, server tools' blocks, compaction, block types of tomorrow - is an `Opaque` of the whole block.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydantic_core import from_json

from mcp_llm.errors import Disconnected, Garbled
from mcp_llm.types.chat import Chunk, Delta, End, Stop
from mcp_llm.types.message import Opaque, Text, Thinking, ToolCall
from mcp_llm.types.usage import Usage
from mcp_llm.wires import failures
from mcp_llm.wires.counts import dollars, first, table
from mcp_llm.wires.words import word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_llm.types.message import Json, Part
    from mcp_llm.wires.base import Frame

    from .quirks import Quirks

JSON_TOOL: Final = "json_answer"
"""The tool that stands for structured output on models without it: its input is the answer's text."""

STOPS: Final[dict[str, Stop]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "content_filter",
}
"""`stop_reason` in our vocabulary; what is not here is `other`."""


@dataclass(slots=True)
class _Pending:
    """A block without a neutral meaning whose end has not come."""

    block: dict[str, Any]
    pieces: list[str] = field(default_factory=list)

    def part(self) -> Opaque:
        """The whole block; of an input that was cut, what can be read."""
        if text := "".join(self.pieces):
            try:
                self.block["input"] = from_json(text, allow_partial=True)
            except ValueError:
                self.block["input"] = {}
        return Opaque(self.block)


_Open: TypeAlias = type[Text] | type[Thinking] | type[ToolCall] | _Pending


class Decoder:
    """Decodes one reply; `message_stop` ends a stream."""

    def __init__(self, quirks: Quirks) -> None:
        self.done = False
        self._json_tool = quirks.json_mode == "tool"
        self._json_used = False
        self._base = 0
        self._top = -1
        self._open: dict[int, _Open] = {}
        self._inputs: dict[int, Json] = {}
        self._calls = 0
        self._body = False
        self._marked = False
        self._raw: str | None = None
        self._note: str | None = None
        self._model: str | None = None
        self._id: str | None = None
        self._usage: dict[str, Any] = {}
        self._citations: list[Json] = []
        self._extras: dict[str, Json] = {}

    def feed(self, frame: Frame) -> Iterable[Chunk]:
        """The deltas of one event, or of a whole message."""
        data = frame.data
        if self.done:
            return ()
        if data is None:
            self._marked = True
            return ()
        kind = data.get("type") or frame.event
        if kind == "content_block_delta":
            return self._delta(self._base + data["index"], data["delta"])
        if kind == "content_block_start":
            return self._start(self._base + data["index"], data["content_block"])
        if kind == "content_block_stop":
            return self._stop(self._base + data["index"])
        if kind == "message_start":
            return self._message(data["message"])
        if kind == "message_delta":
            self._about(data.get("delta") or {})
            self._count(table(data, "usage"))
        elif kind == "message_stop":
            self.done = True
        elif data.get("error"):
            raise failures.from_data(data)
        elif kind == "message" or (frame.whole and "content" in data):
            self.done = True
            return self._message(data)
        elif frame.whole:
            self._body = True
        return ()

    def close(self) -> list[Chunk]:
        """Blocks whose end never came, then the `End`."""
        if self._body and not self.done:
            raise Garbled("the reply is JSON but no message")
        # A gateway may end with the marker of another dialect instead of `message_stop`.
        if not self.done and not (self._marked and self._raw):
            raise Disconnected("the stream ended before the model had finished; ask again")
        chunks = self._flush()
        if self._citations:
            self._extras["citations"] = self._citations
        chunks.append(
            End(
                stop=self._stopped(),
                stop_raw=self._raw,
                usage=_usage(self._usage),
                model=self._model,
                id=self._id,
                note=self._note,
                extras=self._extras or None,
            )
        )
        return chunks

    def _delta(self, slot: int, delta: dict[str, Any]) -> Iterable[Chunk]:
        # Deltas of another kind than their block are passed over, as the vendor's own accumulator does.
        kind = delta["type"]
        if kind == "text_delta":
            if self._open.get(slot, Text) is Text and (text := delta["text"]):
                return (Delta(slot, Text(text)),)
        elif kind == "thinking_delta":
            if self._open.get(slot, Thinking) is Thinking and (text := delta["thinking"]):
                return (Delta(slot, Thinking(text)),)
        elif kind == "input_json_delta":
            return self._input(slot, delta["partial_json"])
        elif kind == "signature_delta":
            if self._open.get(slot, Thinking) is Thinking and (signature := delta["signature"]):
                return (Delta(slot, Thinking("", {"signature": signature})),)
        elif kind == "citations_delta":
            if self._open.get(slot, Text) is Text:
                self._citations.append(delta["citation"])
                return (Delta(slot, Text("", {"citations": [delta["citation"]]})),)
        elif isinstance(pending := self._open.get(slot), _Pending):
            pending.block.update({key: value for key, value in delta.items() if key != "type" and value is not None})
        return ()

    def _input(self, slot: int, text: str) -> Iterable[Chunk]:
        kind = self._open.get(slot)
        if isinstance(kind, _Pending):
            kind.pieces.append(text)
        elif text and kind is not Thinking:
            self._inputs.pop(slot, None)
            if kind is ToolCall:
                return (Delta(slot, ToolCall("", "", text)),)
            if kind is Text and self._json_used:
                return (Delta(slot, Text(text)),)
        return ()

    def _start(self, slot: int, block: dict[str, Any]) -> Iterable[Chunk]:
        self._top = max(self._top, slot)
        kind = block["type"]
        if kind == "tool_use":
            # The input comes in deltas; servers that send it here and only here exist.
            if block.get("input"):
                self._inputs[slot] = block["input"]
            if self._is_answer(block):
                self._open[slot] = Text
                return ()
            self._open[slot] = ToolCall
            return (Delta(slot, self._call(block, "")),)
        part = self._part(block)
        if isinstance(part, Opaque):
            self._open[slot] = _Pending(dict(block))
            return ()
        self._open[slot] = Text if isinstance(part, Text) else Thinking
        return _told(slot, part)

    def _stop(self, slot: int) -> list[Chunk]:
        kind = self._open.pop(slot, None)
        if isinstance(kind, _Pending):
            return [Delta(slot, kind.part())]
        if (given := self._inputs.pop(slot, None)) is None:
            return []
        text = _dumped(given)
        return [Delta(slot, Text(text) if kind is Text else ToolCall("", "", text))]

    def _flush(self) -> list[Chunk]:
        return [chunk for slot in list(self._open) for chunk in self._stop(slot)]

    def _message(self, message: dict[str, Any]) -> list[Chunk]:
        """A whole message, or the head of a stream; a second head in one stream begins after the blocks there are."""
        chunks = self._flush()
        self._base = self._top + 1
        self._id = self._id or word(message.get("id"))
        self._model = self._model or word(message.get("model"))
        self._about(message)
        self._count(table(message, "usage"))
        for block in message.get("content") or ():
            slot = self._top = self._top + 1
            chunks.extend(_told(slot, self._part(block)))
        self._base = self._top + 1
        return chunks

    def _about(self, facts: dict[str, Any]) -> None:
        self._raw = word(facts.get("stop_reason")) or self._raw
        if details := facts.get("stop_details"):
            self._note = word(details.get("explanation") or details.get("category")) or self._note
        for key in ("stop_sequence", "container"):
            if (value := facts.get(key)) is not None:
                self._extras[key] = value

    def _count(self, usage: dict[str, Any]) -> None:
        # Cumulative: the last number of each key counts, and null says nothing.
        for key, value in usage.items():
            old = self._usage.get(key)
            if isinstance(old, dict) and isinstance(value, dict):
                self._usage[key] = {**old, **{name: number for name, number in value.items() if number is not None}}
            elif value is not None:
                self._usage[key] = value

    def _part(self, block: dict[str, Any]) -> Part:
        kind = block["type"]
        if kind == "text":
            echo = _rest(block, "text")
            if echo and (citations := echo.get("citations")):
                self._citations.extend(citations)
            return Text(block["text"], echo)
        if kind == "thinking":
            return Thinking(block.get("thinking") or "", _rest(block, "thinking"))
        if kind == "tool_use":
            text = _dumped(block.get("input"))
            return Text(text) if self._is_answer(block) else self._call(block, text)
        if kind == "fallback" and (model := (block.get("to") or {}).get("model")):
            self._model = model  # the one that wrote what follows
        return Opaque(block)

    def _call(self, block: dict[str, Any], arguments: str) -> ToolCall:
        call_id, echo = word(block.get("id")) or f"call_{self._calls}", _rest(block, "id", "name", "input")
        call = ToolCall(call_id, block["name"], arguments, echo)
        self._calls += 1
        return call

    def _is_answer(self, block: dict[str, Any]) -> bool:
        if self._json_tool and block["name"] == JSON_TOOL:
            self._json_used = True
            return True
        return False

    def _stopped(self) -> Stop:
        stop = STOPS.get(self._raw or "", "other")
        if self._calls and (stop == "stop" or self._raw is None):
            return "tool_calls"
        return "stop" if stop == "tool_calls" and self._json_used and not self._calls else stop


def _told(slot: int, part: Part) -> list[Chunk]:
    """The delta of a part, none for an empty one."""
    empty = isinstance(part, Text | Thinking) and not part.text and part.echo is None
    return [] if empty else [Delta(slot, part)]


def _rest(block: dict[str, Any], *data: str) -> dict[str, Any] | None:
    """The fields beside the data; an empty signature or list of citations says nothing."""
    return {
        key: value for key, value in block.items() if key != "type" and key not in data and value not in (None, "", [])
    } or None


def _dumped(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""


def _usage(raw: dict[str, Any]) -> Usage | None:
    if not raw:
        return None
    plain, cached, written = (
        first(raw.get(key)) for key in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    return Usage(
        input=None if plain is None else plain + (cached or 0) + (written or 0),
        output=first(raw.get("output_tokens")),
        cached=cached,
        cache_write=written,
        cache_write_1h=first(table(raw, "cache_creation").get("ephemeral_1h_input_tokens")),
        reasoning=first(table(raw, "output_tokens_details").get("thinking_tokens")),
        usd=dollars(raw),
    )
