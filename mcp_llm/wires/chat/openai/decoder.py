"""Reads a reply of the Chat Completions dialect, streamed or whole, from OpenAI and from all who copied it.

Only the first choice is read. Reasoning comes under several names, often under two at once: it is counted once.

`echo`: `reasoning_details` of a `Thinking` (OpenRouter), `extra_content` and `custom` of a `ToolCall`, `audio` of a
`Media`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Disconnected, Garbled
from mcp_llm.types.chat import Chunk, Delta, End, Stop
from mcp_llm.types.message import Text, Thinking
from mcp_llm.wires import failures
from mcp_llm.wires.excerpts import printable
from mcp_llm.wires.joined import joined
from mcp_llm.wires.words import word

from .calls import Calls, dumped
from .media import Speech, picture
from .think_tags import ThinkTags
from .usage import usage

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from mcp_llm.types.message import Json
    from mcp_llm.wires.base import Frame

_WORDS: Final[dict[Stop, str]] = {
    "stop": "stop end_turn STOP COMPLETE completed complete eos eos_token end stop_sequence STOP_SEQUENCE",
    "length": "length max_tokens MAX_TOKENS max_output_tokens model_length model_context_window_exceeded",
    "tool_calls": "tool_calls function_call tool_use TOOL_CALL tool_call",
    "content_filter": (
        "content_filter refusal sensitive safety SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY "
        "MODEL_ARMOR guardrail_intervened content_filtered"
    ),
    "pause": "pause_turn",
    "error": (
        "error ERROR network_error failed TIMEOUT MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS "
        "MISSING_THOUGHT_SIGNATURE MALFORMED_RESPONSE malformed_model_output malformed_tool_use"
    ),
    "cancelled": "cancelled canceled abort",
}
_STOPS: Final[dict[str, Stop]] = {word: stop for stop, words in _WORDS.items() for word in words.split()}
_THOUGHTS: Final = ("reasoning_content", "reasoning", "reasoning_text")
_EXTRAS: Final = frozenset({"citations", "search_results", "related_questions", "images", "videos"})
_RARE: Final = frozenset({"refusal", "tool_calls", "function_call", "images", "audio", "annotations", "executed_tools"})
"""What a delta of words or thoughts does not hold: looked up only where one of them is there."""
_DETAILS: Final = {"reasoning.text": "text", "reasoning.summary": "summary"}
_TEXT, _THINKING, _FIRST = 0, 1, 2


class Decoder:
    """Frames -> chunks of one reply."""

    quick_slot = _TEXT

    def __init__(self, quirks: Any) -> None:
        self.done = False
        self._tags = ThinkTags() if quirks.think_tags else None
        self._slots = _FIRST
        self._said = False
        self._calls = Calls()
        self._details: list[dict[str, Any]] = []
        self._speech = Speech()
        self._refusal: list[str] = []
        self._finish: str | None = None
        self._usage: Json = None
        self._model: str | None = None
        self._id: str | None = None
        self._whole = False
        self._spare: dict[str, Any] | None = None
        self._extras: dict[str, Json] = {}
        self._annotations: list[Json] = []

    def feed(self, frame: Frame) -> Iterable[Chunk]:
        """Deltas of one chunk, or of a whole completion."""
        data = frame.data
        if data is None:
            self.done = True
            return ()
        return self._chunk(frame, data, data.get("choices"))

    def quick(self, data: Json) -> str | None:
        """The words of a plain text delta, nearly all of a stream; None for everything else, which `feed` gets."""
        if not self._settled or "error" in data or "citations" in data or data.get("usage"):
            return None
        choices = data.get("choices")
        if not choices or len(choices) != 1:
            return None
        choice = choices[0]
        delta = choice.get("delta")
        if (
            delta
            and type(content := delta.get("content")) is str
            and (len(delta) == 1 or (len(delta) == 2 and "role" in delta))
            and choice.get("finish_reason") is None
            and not choice.get("index")
            and content
            and not choice.get("logprobs")
        ):
            self._said = True
            return content
        return None

    @property
    def _settled(self) -> bool:
        """Whether the model is known and no tag can open any more."""
        return self._model is not None and (self._tags is None or self._tags.settled)

    def close(self) -> Iterable[Chunk]:
        """The end of the answer."""
        if not (self._whole or self.done or self._finish is not None):
            raise Disconnected("the reply was cut off before its end (neither a finish reason nor [DONE] came)")
        if self._spare is not None and not self._said:
            yield from self._message(self._spare)
        if self._tags is not None:
            yield from self._words(*self._tags.close())
        if self._details:
            details = self._details if self._whole else _joined(self._details)
            yield Delta(_THINKING, Thinking("", {"reasoning_details": details}))
        yield from self._calls.unnamed()
        if (media := self._speech.media()) is not None:
            yield Delta(self._slot(), media)
        if self._annotations:
            self._extras["citations"] = [*self._annotations, *self._extras.get("citations", ())]
        yield End(
            stop=self._stop(),
            stop_raw=self._finish,
            usage=usage(self._usage),
            model=self._model,
            id=self._id,
            note="".join(self._refusal) or None,
            extras=self._extras or None,
        )

    # Chunks

    def _chunk(self, frame: Frame, data: dict[str, Any], choices: Json) -> Iterable[Chunk]:
        self._fail(frame, data)
        self._model = self._model or word(data.get("model"))
        self._id = self._id or word(data.get("id"))
        if data.get("usage"):
            self._usage = data["usage"]
        if not _EXTRAS.isdisjoint(data):
            # Cumulative where they come with every chunk.
            self._extras.update({name: data[name] for name in sorted(_EXTRAS) if data.get(name)})
        if frame.whole:
            self._whole = True
            if choices is None:
                raise Garbled(f"the reply holds no choices; it begins: {printable(dumped(data)[:200])!r}")
        chunks: list[Chunk] = []
        for choice in choices or ():
            if not choice.get("index"):
                chunks.extend(self._choice(choice))
        return chunks

    def _fail(self, frame: Frame, data: dict[str, Any]) -> None:
        """Raise the error that a frame carries: as `error`, in the vendor's own corner, or in place of choices."""
        groq = data.get("x_groq")
        inner = groq.get("error") if isinstance(groq, dict) else None
        if isinstance(groq, dict) and groq.get("usage") and not data.get("usage"):
            self._usage = groq["usage"]
        if data.get("error") or frame.event == "error":
            status = data.get("status_code")
            raise failures.from_data(data, status=status if isinstance(status, int) else None)
        if inner:
            raise failures.from_data({"error": inner})
        if "choices" not in data and (data.get("object") == "error" or (frame.whole and _complains(data))):
            raise failures.from_data(data)

    def _choice(self, choice: dict[str, Any]) -> Iterable[Chunk]:
        if error := choice.get("error"):
            raise failures.from_data({"error": error})
        self._finish = choice.get("finish_reason") or self._finish
        if choice.get("usage"):
            self._usage = choice["usage"]
        if choice.get("logprobs"):
            self._extras["logprobs"] = joined(self._extras.get("logprobs"), choice["logprobs"])
        delta, message = choice.get("delta"), choice.get("message")
        if self._whole:
            return self._message(message or delta or {})
        if message:
            self._spare = message  # beside the delta at some vendors, in its place at others
        return self._message(delta) if delta else ()

    def _message(self, message: dict[str, Any]) -> Iterable[Chunk]:
        """Everything that a delta or a message may hold; the two differ in nothing but the arguments' being whole."""
        chunks: list[Chunk] = []
        self._reason(message, chunks)
        content = message.get("content")
        if isinstance(content, str):
            if content:
                chunks.extend(self._text(content))
        elif isinstance(content, list):
            for piece in content:
                self._piece(piece, chunks)
        elif content is not None:  # the answer to a schema, already parsed
            chunks.extend(self._text(json.dumps(content, ensure_ascii=False)))
        if not _RARE.isdisjoint(message):
            self._more(message, chunks)
        self._said = self._said or bool(chunks)
        return chunks

    def _more(self, message: dict[str, Any], chunks: list[Chunk]) -> None:
        """Calls, media and what is told about the answer."""
        self._refuse(message.get("refusal"))
        chunks.extend(self._calls.delta(call) for call in message.get("tool_calls") or ())
        if legacy := message.get("function_call"):
            chunks.append(self._calls.delta({"index": "function_call", "function": legacy}))
        chunks.extend(Delta(self._slot(), picture(image)) for image in message.get("images") or ())
        if audio := message.get("audio"):
            if transcript := audio.get("transcript"):
                chunks.extend(self._text(transcript))
            self._speech.add(audio, whole=self._whole)
        self._annotations.extend(message.get("annotations") or ())
        if message.get("executed_tools"):
            self._extras["executed_tools"] = message["executed_tools"]

    def _reason(self, message: dict[str, Any], chunks: list[Chunk]) -> None:
        words = next((message[name] for name in _THOUGHTS if message.get(name)), None)
        if words is not None and not isinstance(words, str):
            words = _thought(words)
        if details := message.get("reasoning_details"):
            self._details.extend(details)
            if words is None:
                words = "".join(item.get("text") or item.get("summary") or "" for item in details)
        if words:
            chunks.append(Delta(_THINKING, Thinking(words)))

    def _piece(self, piece: Json, chunks: list[Chunk]) -> None:
        """One piece of a content list."""
        if isinstance(piece, str):
            piece = {"type": "text", "text": piece}
        kind = piece.get("type")
        if kind in ("text", "output_text"):
            if piece.get("text"):
                chunks.extend(self._text(piece["text"]))
        elif kind in ("thinking", "reasoning"):
            if words := _thought(piece.get("thinking") or piece.get("text") or ""):
                chunks.append(Delta(_THINKING, Thinking(words)))
        elif kind in ("image_url", "image"):
            chunks.append(Delta(self._slot(), picture(piece)))
        elif kind == "refusal":
            self._refuse(piece["refusal"])

    # Words

    def _text(self, content: str) -> Iterable[Chunk]:
        if self._tags is not None:
            return self._words(*self._tags.feed(content))
        self._said = True
        return (Delta(_TEXT, Text(content)),)

    def _words(self, thinking: str, text: str) -> Iterable[Chunk]:
        self._said = self._said or bool(thinking or text)
        chunks: list[Chunk] = [Delta(_THINKING, Thinking(thinking))] if thinking else []
        if text:
            chunks.append(Delta(_TEXT, Text(text)))
        return chunks

    def _refuse(self, words: str | None) -> None:
        if words:
            self._refusal.append(words)

    def _slot(self) -> int:
        self._slots += 1
        return self._slots - 1

    # The end

    def _stop(self) -> Stop:
        stop: Stop = "stop" if self._said else "other"
        if self._finish is not None:
            stop = _STOPS.get(self._finish, "other")
        if stop in ("stop", "other", "tool_calls"):
            if self._calls.any:
                return "tool_calls"
            if self._refusal:
                return "content_filter"
        return stop


def _complains(data: dict[str, Any]) -> bool:
    return any(data.get(name) for name in ("message", "detail", "errors"))


def _thought(value: Json) -> str:
    """Thinking as text, however deep it is wrapped."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_thought, value))
    return _thought(value.get("text") or value.get("content") or value.get("thinking") or "")


def _joined(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks that a stream's `reasoning_details` are pieces of: words add up to a signature, others are whole."""
    blocks: list[dict[str, Any]] = []
    growing: dict[Hashable, tuple[dict[str, Any], list[str]]] = {}
    for delta in deltas:
        kind = delta.get("type")
        name = _DETAILS.get(kind) if isinstance(kind, str) else None
        if name is None:
            blocks.append(dict(delta))
            continue
        key = (kind, delta.get("index"))
        if key not in growing:
            growing[key] = ({}, [])
            blocks.append(growing[key][0])
        block, words = growing[key]
        block.update({field: value for field, value in delta.items() if value is not None or field not in block})
        words.append(delta.get(name) or "")
        if name in block:
            block[name] = words  # joined once, below
        if delta.get("signature"):
            del growing[key]
    for block in blocks:
        for name in _DETAILS.values():
            if isinstance(block.get(name), list):
                block[name] = "".join(block[name])
    return blocks
