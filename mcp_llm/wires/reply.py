"""The one decoding path: bytes of a reply, cut anywhere, whole or streamed -> chunks ending with exactly one `End`.

Frames them, parses the JSON, hands the payloads to a wire's decoder, mends surrogate pairs that were cut between two
deltas, and turns whatever a decoder stumbles over into `Garbled`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from mcp_llm.errors import Garbled
from mcp_llm.types.chat import Chunk, Delta, End
from mcp_llm.types.message import Text, Thinking

from .base import Frame
from .frames import Frames

if TYPE_CHECKING:
    from mcp_llm.types.message import Json

    from .base import ChatDecoder, ChatWire


def parse(data: bytes) -> Json:
    """JSON from the wire. Lone surrogates, which Rust's parser refuses, come through as Python has them."""
    try:
        return from_json(data)
    except ValueError:
        return json.loads(data)


def excerpt(data: bytes) -> str:
    """The first 200 characters of a body, control characters escaped, for error messages."""
    text = data[:800].decode("utf-8", "backslashreplace")[:200]
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class Reply:
    """Decodes one reply of one wire."""

    def __init__(self, wire: ChatWire, quirks: Any) -> None:
        self._frames = Frames(wire.framing)
        self._decoder: ChatDecoder = wire.Decoder(quirks)
        self._halves: dict[int, tuple[type[Text | Thinking], str]] = {}
        self._count = 0

    @property
    def done(self) -> bool:
        """True once the wire's terminal marker was seen."""
        return self._decoder.done

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that these bytes complete; raises the provider's in-stream error, or `Garbled`."""
        frames = self._frames.feed(data)
        return self._decode(frames) if frames else []

    def close(self) -> list[Chunk]:
        """The end of the body: chunks held back and `End`; raises when the reply is cut, empty or no JSON."""
        chunks = self._decode(self._frames.close())
        if not self._count:
            head = excerpt(self._frames.head)
            raise Garbled(f"the reply cannot be read; it begins: {head!r}" if head else "the reply is empty")
        try:
            chunks.extend(self._mend(list(self._decoder.close())))
        except (TypeError, KeyError, AttributeError, IndexError, ValueError) as exc:
            raise Garbled(f"the reply ends in a way the wire does not have ({type(exc).__name__})") from exc
        for slot, (kind, _) in self._halves.items():
            chunks.insert(-1, Delta(slot, kind("\ufffd")))
        return chunks

    def _decode(self, frames: list[tuple[str | None, bytes]]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for event, data in frames:
            if data.strip() == b"[DONE]":
                self._count += 1
                chunks.extend(self._decoder.feed(Frame(event, None)))
                continue
            try:
                value = parse(data)
            except (ValueError, RecursionError) as exc:
                raise Garbled(f"the reply holds something that is no JSON: {excerpt(data)!r}") from exc
            self._count += 1
            # Without alt=sse a vendor streams one JSON array; its items are what the events would have been.
            for item in value if isinstance(value, list) and self._frames.whole else [value]:
                try:
                    chunks.extend(self._decoder.feed(Frame(event, item, whole=self._frames.whole)))
                except (TypeError, KeyError, AttributeError, IndexError, ValueError) as exc:
                    raise Garbled(
                        f"the reply has a shape the wire does not have ({type(exc).__name__}): {excerpt(data)!r}"
                    ) from exc
        return self._mend(chunks) if chunks else chunks

    def _mend(self, chunks: list[Chunk]) -> list[Chunk]:
        """Join the halves of a surrogate pair that a vendor cut between two deltas."""
        for index, chunk in enumerate(chunks):
            if isinstance(chunk, End) or not isinstance(chunk.part, Text | Thinking):
                continue
            part = chunk.part
            text = part.text
            held = self._halves.pop(chunk.slot, None)
            if held is None and (not text or text.isascii() or text.isprintable()):
                continue  # surrogates are never printable, so ordinary words leave here
            text = (held[1] if held else "") + text
            if "\ud800" <= text[-1:] <= "\udbff":
                self._halves[chunk.slot] = (type(part), text[-1])
                text = text[:-1]
            mended = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            chunks[index] = Delta(chunk.slot, type(part)(mended, part.echo))
        return chunks
