"""Replies of Google's generateContent dialect -> chunks. Parts stay what they were, so that a replay is exact.

Every part gets its own slot; only a first text part of the next event goes on in the open slot, and never one that
carries a signature. `echo` holds the part's other fields as the wire has them; a call's `echo["id"]` is the wire's id
or None. What has no neutral meaning (server tools, code, images of thoughts) is an `Opaque` of the whole part.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Disconnected, Garbled
from mcp_llm.types.chat import Chunk, Delta, End, Stop
from mcp_llm.types.message import Media, Opaque, Text, Thinking, ToolCall
from mcp_llm.wires import counts, failures
from mcp_llm.wires.gemini_usage import usage
from mcp_llm.wires.joined import joined
from mcp_llm.wires.words import word

from .arguments import PartialArgs

if TYPE_CHECKING:
    from mcp_llm.types.message import Json, Part
    from mcp_llm.wires.base import Frame

STOPS: Final[dict[str, Stop]] = {
    "STOP": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "JAILBREAK": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "FUNCTION_CALL": "tool_calls",
    "TOOL_CALL": "tool_calls",
}
"""`finishReason` in our vocabulary; what is not here is `other`."""

_EXTRAS: Final = ("groundingMetadata", "citationMetadata", "urlContextMetadata", "logprobsResult", "continuationToken")
_GROWING: Final = ("citationMetadata", "logprobsResult")
_COUNTS: Final = ("promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
_KNOWN: Final = frozenset({"candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId"})


class Decoder:
    """Decodes one reply; the end of the body is the only end marker of this wire."""

    def __init__(self, quirks: object) -> None:
        self.done = False
        self._slot = -1
        self._open: type[Text] | type[Thinking] | None = None
        self._calls = 0
        self._args: PartialArgs | None = None
        self._finish: str | None = None
        self._blocked: str | None = None
        self._block_note: str | None = None
        self._finish_note: str | None = None
        self._usage: dict[str, Any] = {}
        self._model: str | None = None
        self._id: str | None = None
        self._extras: dict[str, Json] = {}
        self._known = False
        self._whole = False

    def feed(self, frame: Frame) -> list[Chunk]:
        """The parts of one response fragment."""
        data = frame.data
        if data is None:
            self.done = True
            return []
        self._whole = frame.whole
        if isinstance(data, list):  # an error inside a stream may come as a list of one
            return [chunk for item in data for chunk in self._fragment(item)]
        return self._fragment(data)

    def close(self) -> list[Chunk]:
        """A call whose arguments were still coming, then the `End`."""
        cut = self._finish is None and self._blocked is None
        if cut and not (self._whole or self.done):
            raise Disconnected("the stream ended before the model had finished; ask again")
        if not self._known and not self.done:
            raise Garbled("the reply holds neither candidates nor a reason why there are none")
        chunks: list[Chunk] = []
        self._finish_call(chunks, cut=cut or STOPS.get(self._finish or "") == "length")
        raw = self._blocked if self._finish is None else self._finish
        stop: Stop = "content_filter" if self._finish is None and self._blocked else STOPS.get(raw or "", "other")
        if self._calls and raw in (None, "STOP"):
            stop = "tool_calls"
        note = None
        if stop in ("content_filter", "error", "other"):  # beside STOP the message says nothing
            note = self._finish_note or self._block_note or self._blocked
        if (told := self._extras.pop("logprobsResult", None)) is not None:
            self._extras["logprobs"] = told
        if sources := _sources(self._extras):
            self._extras["citations"] = sources
        chunks.append(
            End(
                stop=stop,
                stop_raw=raw,
                usage=usage(self._usage),
                model=word(self._model),
                id=word(self._id),
                note=word(note),
                extras=self._extras or None,
            )
        )
        return chunks

    def _fragment(self, data: dict[str, Any]) -> list[Chunk]:
        if data.get("error") is not None:
            raise failures.from_data(data)
        if isinstance(told := data.get("usageMetadata"), dict):
            self._count(told)
        if model := data.get("modelVersion"):
            self._model = model
        if name := data.get("responseId"):
            self._id = name
        if feedback := data.get("promptFeedback"):
            self._blocked = word(feedback.get("blockReason")) or self._blocked
            self._block_note = feedback.get("blockReasonMessage") or self._block_note
        self._known = self._known or not _KNOWN.isdisjoint(data)
        chunks: list[Chunk] = []
        for candidate in data.get("candidates") or ():
            if candidate.get("index"):
                continue  # one answer is asked for; `candidateCount` in the options does not change that
            first = True
            for part in (candidate.get("content") or {}).get("parts") or ():
                self._part(part, first, chunks)
                first = False
            if len(candidate) > 1:
                self._about(candidate)
        return chunks

    def _count(self, told: dict[str, Any]) -> None:
        """Cumulative: the last number of each key counts, and a count with its total stands for itself alone."""
        try:
            alone = told.get("totalTokenCount") == sum(told.get(key) or 0 for key in _COUNTS)
        except TypeError:  # what is no number adds up to nothing
            alone = False
        if alone:
            self._usage = {}
        self._usage.update({key: value for key, value in told.items() if value is not None})

    def _about(self, candidate: dict[str, Any]) -> None:
        self._finish = word(candidate.get("finishReason")) or self._finish
        self._finish_note = candidate.get("finishMessage") or self._finish_note
        for key in _EXTRAS:
            if value := candidate.get(key):
                self._extras[key] = joined(self._extras.get(key), value, append=key in _GROWING)

    def _part(self, part: dict[str, Any], first: bool, chunks: list[Chunk]) -> None:
        if (text := part.get("text")) is not None:
            self._words(part, text, first, chunks)
        elif (call := part.get("functionCall")) is not None:
            self._call(part, call, chunks)
        elif "thought" not in part and (blob := part.get("inlineData")) is not None:
            rest = _rest(part, "inlineData")
            name = word(blob.get("displayName"))
            self._new(Media(blob["mimeType"], data=blob["data"], name=name, echo=rest), chunks)
        elif part:
            self._new(Opaque(dict(part)), chunks)

    def _words(self, part: dict[str, Any], text: str, first: bool, chunks: list[Chunk]) -> None:
        kind = Thinking if part.get("thought") else Text
        if len(part) > (1 if kind is Text else 2) and (echo := _rest(part, "text", "thought")) is not None:
            self._new(kind(text, echo), chunks)
            return
        if not text:
            return
        if not first or self._open is not kind or self._args is not None:
            self._new(kind(text), chunks)
            self._open = kind
        else:
            chunks.append(Delta(self._slot, kind(text)))

    def _new(self, part: Part, chunks: list[Chunk]) -> None:
        self._finish_call(chunks, cut=False)
        self._open = None
        self._slot += 1
        chunks.append(Delta(self._slot, part))

    def _call(self, part: dict[str, Any], call: dict[str, Any], chunks: list[Chunk]) -> None:
        name = call.get("name")
        if self._args is not None and not name:
            self._args.add(call.get("partialArgs") or ())
            if not call.get("willContinue"):
                self._finish_call(chunks, cut=False)
            return
        if not name:
            if call:
                raise ValueError("a function call without a name")
            return  # the end mark of a call that had already ended
        args, partial = call.get("args"), call.get("partialArgs")
        echo = {**(_rest(part, "functionCall") or {}), "id": call.get("id")}
        more = bool(call.get("willContinue"))
        whole = not more and partial is None and args is not None
        text = json.dumps(args, ensure_ascii=False, separators=(",", ":")) if whole else ""
        self._new(ToolCall(word(echo["id"]) or f"call_{self._calls}", name, text, echo), chunks)
        self._calls += 1
        if more or partial is not None:
            self._args = PartialArgs(args)
            self._args.add(partial or ())
            if not more:
                self._finish_call(chunks, cut=False)

    def _finish_call(self, chunks: list[Chunk], *, cut: bool) -> None:
        if self._args is not None:
            chunks.append(Delta(self._slot, ToolCall("", "", self._args.text(cut=cut))))
            self._args = None


def _rest(part: dict[str, Any], *data: str) -> dict[str, Any] | None:
    """The fields beside the data: signature, metadata."""
    return {key: value for key, value in part.items() if key not in data and value is not None} or None


def _sources(extras: dict[str, Json]) -> list[Json]:
    """What the answer rests on, as the vendor has it: pages found or given, and texts that were recited."""
    grounding, cited = counts.table(extras, "groundingMetadata"), counts.table(extras, "citationMetadata")
    lists = (grounding.get("groundingChunks"), cited.get("citations"), cited.get("citationSources"))
    return [one for found in lists if isinstance(found, list) for one in found]
