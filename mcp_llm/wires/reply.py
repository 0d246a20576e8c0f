"""The one decoding path: bytes of a reply, cut anywhere, whole or streamed -> chunks ending with exactly one `End`.

Frames them, parses the JSON, hands the payloads to a wire's decoder, mends surrogate pairs that were cut between two
deltas, and turns whatever a decoder stumbles over into `Garbled`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

from mcp_llm.errors import Disconnected, Garbled, ProviderError
from mcp_llm.types.chat import Chunk, Delta, End
from mcp_llm.types.message import Media, Text, Thinking, ToolCall, ToolResult
from mcp_llm.types.text import unbroken

from .base import Frame
from .excerpts import beginning, excerpt
from .frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.types.message import Json, Part

    from .base import ChatDecoder, ChatWire

STUMBLES: Final = (TypeError, LookupError, AttributeError, ValueError, ArithmeticError, RecursionError)
"""What a decoder written straight raises on a shape that its wire does not have."""
_DEPTH: Final = 200
_UNREAD: Final = object()


def parse(data: bytes) -> Json:
    """JSON from the wire. Lone surrogates, which Rust's parser refuses, come through as Python has them."""
    try:
        return from_json(data)
    except ValueError:
        return _lenient(data)


def _lenient(data: bytes) -> Json:
    try:
        value: Json = json.loads(data)
    except UnicodeDecodeError:
        value = json.loads(data.decode("utf-8", "replace"))  # local servers cut characters between two tokens
    if _deep(value):
        raise ValueError("nested too deep")
    return value


def _deep(value: Json) -> bool:
    """Whether it is nested deeper than Rust's parser takes; deeper values cannot be written again either."""
    level: list[Json] = [value]
    for _ in range(_DEPTH):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


class Reply:
    """Decodes one reply of one wire.

    An error that arrives in the same bytes as chunks is raised by the next `feed` or `close`, so that the chunks
    before it are not lost; `done` is True then. `moved` says of the last bytes fed whether any of them belong to the
    answer: comments, blank lines and pings only keep the connection awake.
    """

    def __init__(self, wire: ChatWire, quirks: Any) -> None:
        self.moved = False
        self._frames = Frames(wire.framing)
        self._decoder: ChatDecoder = wire.Decoder(quirks)
        self._error: ProviderError | None = None
        self._count = 0
        self._pings = 0
        self._lone = False
        self._closing = False
        self._cut = False
        self._kinds: dict[int, type[Part]] = {}
        self._halves: dict[int, tuple[str, Text | Thinking | ToolCall]] = {}
        self._quick: Callable[[Json], str | None] | None = getattr(self._decoder, "quick", None)
        self._quick_slot: int = getattr(self._decoder, "quick_slot", -1)

    @property
    def done(self) -> bool:
        """True once nothing more has to be read: the wire's terminal marker or an error was seen. Then `close()`."""
        return self._error is not None or self._decoder.done

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that these bytes complete; raises the provider's in-stream error, or `Garbled`."""
        if self._error is not None:
            raise self._error
        before = self._count - self._pings
        frames = self._frames.feed(data)
        chunks = self._decode(frames) if frames else []
        self.moved = self._count - self._pings != before or self._frames.begun
        return chunks

    def close(self) -> list[Chunk]:
        """The end of the body: chunks held back and `End`; raises when the reply is cut, empty or no JSON."""
        if self._error is not None:
            raise self._error
        self._closing = True
        rest = self._frames.close()
        chunks = [] if self._decoder.done else self._decode(rest)
        if self._error is not None:
            raise self._error
        if not self._count:
            if self._cut:
                raise Disconnected("the reply was cut in the middle")
            if self._frames.opened:
                raise Disconnected("the stream ended before its first event")
            head = beginning(self._frames.head)
            raise Garbled(f"the reply cannot be read; it {head}" if head else "the reply is empty")
        last: list[Chunk] = []
        try:
            for chunk in self._decoder.close():
                self._check(chunk)
                last.append(chunk)
        except STUMBLES as exc:
            raise Garbled(f"the reply ends in a way the wire does not have ({type(exc).__name__})") from exc
        chunks.extend(self._mend(last))
        chunks[-1:-1] = self._left()
        return chunks

    def _decode(self, frames: list[tuple[str | None, bytes]]) -> list[Chunk]:
        chunks: list[Chunk] = []
        quick = None if self._lone or self._frames.whole else self._quick
        words: list[str] = []
        try:
            for event, data in frames:
                value: Json = _UNREAD
                if quick is not None:
                    try:
                        value = from_json(data)
                        piece = quick(value)
                    except STUMBLES:
                        piece = None  # the long way says what is wrong with it
                    if piece is not None:
                        words.append(piece)
                        continue
                if words:
                    self._say(words, chunks)
                self._payload(event, data.strip(), chunks, value)
                if self._decoder.done:
                    break  # what a server says after its end marker is no part of the answer
            if words:
                self._say(words, chunks)
        except ProviderError as error:
            if not chunks:
                raise
            self._error = error
        return self._mend(chunks)

    def _say(self, words: list[str], chunks: list[Chunk]) -> None:
        """Pieces of text that came in one read leave as one delta."""
        slot, text = self._quick_slot, words[0] if len(words) == 1 else "".join(words)
        self._count += len(words)
        words.clear()
        if self._kinds.setdefault(slot, Text) is not Text:
            raise Garbled("the reply has two kinds of part in one place")
        chunks.append(Delta(slot, Text(text)))

    def _payload(self, event: str | None, data: bytes, chunks: list[Chunk], value: Json = _UNREAD) -> None:
        if not data:
            return  # an event without content keeps the connection awake
        if data == b"[DONE]":
            values: list[Json] = [None]
        else:
            try:
                value = from_json(data) if value is _UNREAD else value
            except ValueError:
                try:
                    value = _lenient(data)
                except (ValueError, RecursionError) as exc:
                    if self._closing and _is_cut(data):
                        self._cut = True
                        return
                    place = "the reply" if self._frames.whole else f"event {self._count + 1} of the reply"
                    at = f" (from its character {exc.pos + 1} on)" if isinstance(exc, json.JSONDecodeError) else ""
                    raise Garbled(f"{place} is no JSON{at}: {excerpt(data)!r}") from exc
                self._lone = True
            # Without alt=sse a vendor streams one JSON array; its items are what the events would have been.
            if isinstance(value, list) and self._frames.whole:
                values = [item for item in value if item is not None]
            else:
                values = [] if value is None else [value]
            if not values:
                return
        self._count += 1
        if event == "ping" or (isinstance(value := values[0], dict) and value.get("type") == "ping"):
            self._pings += 1
        whole, kinds = self._frames.whole, self._kinds
        for value in values:
            try:
                for chunk in self._decoder.feed(Frame(event, value, whole)):
                    # The next piece of a text, nearly all of a stream, is seen to be well-formed right here.
                    if not (
                        type(chunk) is Delta
                        and type(part := chunk.part) is Text
                        and type(part.text) is str
                        and kinds.get(chunk.slot) is Text
                    ):
                        self._check(chunk)
                    chunks.append(chunk)
            except STUMBLES as exc:
                raise Garbled(
                    f"the reply has a shape the wire does not have ({type(exc).__name__}): {excerpt(data)!r}"
                ) from exc

    def _check(self, chunk: Chunk) -> None:
        """TypeError for what no `Fold` could add: words that are none, or another kind of part than its slot holds."""
        words: tuple[object, ...] = ()
        if isinstance(chunk, End):
            words = tuple(word for word in (chunk.stop_raw, chunk.model, chunk.id, chunk.note) if word is not None)
        else:
            part = chunk.part
            if self._kinds.setdefault(chunk.slot, type(part)) is not type(part):
                raise TypeError("two kinds of part in one slot")
            if isinstance(part, Text | Thinking):
                words = (part.text,)
            elif isinstance(part, ToolCall):
                words = (part.id, part.name, part.arguments)
            elif isinstance(part, Media):
                words = tuple(word for word in (part.mime, part.data, part.url, part.name) if word is not None)
        for word in words:
            if not isinstance(word, str):
                raise TypeError("a word is no string")

    def _mend(self, chunks: list[Chunk]) -> list[Chunk]:
        """Join the halves of a surrogate pair that a vendor cut between two deltas, so that all text can be encoded.

        Only the lenient parser lets halves through, so without it there is nothing to do.
        """
        if not self._lone:
            return chunks
        return [
            Delta(chunk.slot, self._joined(chunk.slot, chunk.part)) if isinstance(chunk, Delta) else _whole_end(chunk)
            for chunk in chunks
        ]

    def _joined(self, slot: int, part: Part) -> Part:
        if isinstance(part, Text | Thinking):
            return replace(part, text=self._text(slot, part, part.text), echo=mended(part.echo))
        if isinstance(part, ToolCall):
            arguments = self._text(slot, part, part.arguments)
            return ToolCall(mended(part.id), mended(part.name), arguments, mended(part.echo))
        return part if isinstance(part, ToolResult) else replace(part, echo=mended(part.echo))

    def _text(self, slot: int, part: Text | Thinking | ToolCall, text: str) -> str:
        text = self._halves.pop(slot, ("", part))[0] + text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._halves[slot] = (text[-1], part)
            text = text[:-1]
        return unbroken(text)

    def _left(self) -> list[Chunk]:
        """First halves that no second one followed."""
        return [
            Delta(slot, ToolCall("", "", "\ufffd") if isinstance(part, ToolCall) else type(part)("\ufffd"))
            for slot, (_, part) in self._halves.items()
        ]


def _is_cut(data: bytes) -> bool:
    """Whether what is no JSON is the beginning of some, or of the `[DONE]` marker."""
    if data[:1] not in (b"{", b"["):
        return False
    try:
        from_json(data)
    except ValueError as exc:
        why = str(exc)
        # A cut inside an escape or a character leaves what nobody can read; too deep, or whole, it was before the cut.
        return "EOF" in why or (data[-1:] not in (b"}", b"]") and "recursion" not in why and "trailing" not in why)
    return False


def mended(value: Json) -> Json:
    """A JSON value whose texts can be encoded."""
    if isinstance(value, str):
        return value if value.isprintable() else unbroken(value)
    if isinstance(value, dict):
        return {mended(key): mended(item) for key, item in value.items()}
    return [mended(item) for item in value] if isinstance(value, list) else value


def _whole_end(end: End) -> End:
    return replace(
        end,
        stop_raw=mended(end.stop_raw),
        model=mended(end.model),
        id=mended(end.id),
        note=mended(end.note),
        extras=mended(end.extras),
    )
