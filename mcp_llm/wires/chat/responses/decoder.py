"""Reads a reply of the Responses dialect, streamed or whole.

Deltas are passed on as they come; the items themselves come from `response.output_item.done` and, where a server leaves
those out, from the terminal event. Items are known by `output_index`, since their ids may change between events, and by
their ids only where a server leaves the index out; where it leaves out both, by their order, one being open at a time.

`echo` of a part: `item` is the output item without what the part itself holds; `part` the piece of a message's content,
whose first piece also carries the `item` it belongs to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Disconnected, Garbled
from mcp_llm.types.chat import Chunk, Delta, End, Stop
from mcp_llm.types.message import Media, Opaque, Text, Thinking, ToolCall
from mcp_llm.types.usage import Usage
from mcp_llm.wires import failures
from mcp_llm.wires.counts import dollars, first, table
from mcp_llm.wires.words import word

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from mcp_llm.types.message import Echo, Json, Part
    from mcp_llm.wires.base import Frame

_TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_STATUS: Final[dict[str, Stop]] = {"completed": "stop", "complete": "stop", "cancelled": "cancelled"}
_INCOMPLETE: Final[dict[str, Stop]] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_THOUGHTS: Final[dict[str, tuple[str, str]]] = {
    "response.reasoning_summary_text.delta": ("summary", "summary_index"),
    "response.reasoning_text.delta": ("content", "content_index"),
}
_ARGUMENTS: Final = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})
_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
_FORMS: Final = {"message": "content", "reasoning": "thinking", "image_generation_call": "image"} | dict.fromkeys(
    _CALLS, "call"
)
_IMAGE_TYPES: Final = {"svg": "image/svg+xml", "jpg": "image/jpeg"}


@dataclass(slots=True)
class _Slot:
    """One part of the answer: its number, and how many characters of it were passed on.

    `unnamed`: what came of it before anything named its item; of a call this is kept back until its item comes, since
    it may be of several.
    """

    number: int
    sent: int = 0
    section: tuple[str, int] | None = None
    unnamed: list[str] = field(default_factory=list)


class Decoder:
    """Frames -> chunks of one reply."""

    def __init__(self, quirks: Any) -> None:
        self.done = False
        self._slots: dict[tuple[Hashable, Hashable], _Slot] = {}
        self._met: set[Hashable] = set()  # items that were begun or are finished
        self._items: set[Hashable] = set()  # those that are finished
        self._loose: set[str] = set()  # ids of items that some event had no index for
        self._open: Hashable = None  # the item that was begun last and is not finished
        self._unclaimed: dict[str, list[Hashable]] = {}  # parts that came before anything named an item for them
        self._ahead: dict[Hashable, str] = {}  # by piece: what was passed on nameless, and is of items to come
        self._calls = 0
        self._refusals: dict[tuple[Hashable, int], list[str]] = {}
        self._citations: list[Json] = []
        self._results: list[Json] = []
        self._logprobs: list[Json] = []
        self._response: dict[str, Any] = {}

    def feed(self, frame: Frame) -> Iterable[Chunk]:
        """Deltas of one event, or of a whole response object."""
        data = frame.data
        if data is None or self.done:
            return ()
        kind = data.get("type") or frame.event or ""
        if kind == "response.output_text.delta":
            return self._grow(self._key(data), data.get("content_index", 0), data["delta"], Text)
        if (thought := _THOUGHTS.get(kind)) is not None:
            return self._think(self._key(data), (thought[0], data.get(thought[1], 0)), data["delta"])
        if kind in _ARGUMENTS:
            return self._argue(self._key(data), data["delta"])
        if kind == "response.output_item.done":
            return self._item(self._place(data), data["item"])
        if kind == "response.output_item.added":
            self._open = None
            self._open = self._place(data)
            return self._added(self._open, data["item"])
        if kind == "response.refusal.delta":
            key = (self._key(data), data.get("content_index", 0))
            self._refusals.setdefault(key, []).append(data["delta"])
        elif kind == "response.image_generation_call.partial_image":
            return self._picture(self._key(data), data["partial_image_b64"], data.get("output_format"), None)
        elif kind in _TERMINAL:
            return self._finish(data["response"], kind.removeprefix("response."))
        elif kind in ("error", "response.error") or (data.get("error") and not kind.startswith("response.")):
            raise failures.from_data(data)
        elif frame.whole and not kind.startswith("response."):
            return self._finish(data, None)
        return ()

    def close(self) -> Iterable[Chunk]:
        """The end of the answer."""
        if not self.done:
            raise Disconnected("the reply was cut off before its end (no terminal event came)")
        response = self._response
        stop, raw = self._stop(response)
        note = "".join(piece for pieces in self._refusals.values() for piece in pieces) or None
        yield End(
            stop=stop,
            stop_raw=raw,
            usage=usage(response.get("usage")),
            model=word(response.get("model")),
            id=word(response.get("id")),
            note=note,
            extras=self._extras(response),
        )

    # Deltas

    def _key(self, data: dict[str, Any], item: dict[str, Any] | None = None) -> Hashable:
        """Which item an event is of: where it does not say so, the open one, and None where none is."""
        index = data.get("output_index")
        if index is not None and not self._loose:
            return int(index)
        name = str(data.get("item_id") or (item or {}).get("id") or "")
        if index is not None and name not in self._loose:
            return int(index)
        if not name:
            return self._open
        self._loose.add(name)
        return name

    def _place(self, data: dict[str, Any]) -> Hashable:
        """The same for the events that bring the item itself: it is the open one, or the next."""
        key = self._key(data, data["item"])
        key = len(self._met) if key is None else key
        self._met.add(key)
        return key

    def _slot(self, key: Hashable, piece: Hashable) -> _Slot:
        slot = self._slots.get((key, piece))
        if slot is None:
            slot = self._slots[key, piece] = _Slot(len(self._slots))
            if key is None:
                self._unclaimed.setdefault(piece if isinstance(piece, str) else "content", []).append(piece)
        return slot

    def _claim(self, key: Hashable, kind: Any) -> None:
        """The parts of that kind that came without a name are of this item, the first to be named."""
        for piece in self._unclaimed.pop(_FORMS.get(kind, ""), ()):
            if (key, piece) not in self._slots:
                self._slots[key, piece] = self._slots.pop((None, piece))

    def _grow(self, key: Hashable, piece: Hashable, text: str, kind: type[Text | Thinking]) -> Iterable[Chunk]:
        slot = self._slot(key, piece)
        slot.sent += len(text)
        if key is None:
            slot.unnamed.append(text)
        return (Delta(slot.number, kind(text)),)

    def _think(self, key: Hashable, section: tuple[str, int], text: str) -> Iterable[Chunk]:
        slot = self._slot(key, "thinking")
        if slot.section is not None and slot.section != section:
            text = "\n\n" + text
        slot.section = section
        return self._grow(key, "thinking", text, Thinking)

    def _argue(self, key: Hashable, text: str) -> Iterable[Chunk]:
        slot = self._slot(key, "call")
        if key is None:
            slot.unnamed.append(text)
            return ()
        slot.sent += len(text)
        return (Delta(slot.number, ToolCall("", "", text)),)

    def _added(self, key: Hashable, item: dict[str, Any]) -> Iterable[Chunk]:
        kind = item.get("type")
        if kind in _CALLS:
            if not (item.get("call_id") and item.get("name")):
                return ()
            return (Delta(self._slot(key, "call").number, ToolCall(item["call_id"], item["name"])),)
        if kind in ("message", "reasoning", "image_generation_call"):
            return ()
        # Takes the item's place in the order, which later items would take otherwise; the finished item replaces it.
        return (Delta(self._slot(key, "item").number, Opaque({"item": item})),)

    # Items

    def _item(self, key: Hashable, item: dict[str, Any]) -> Iterable[Chunk]:
        """What of a whole item was not passed on yet, and its opaque state."""
        self._items.add(key)
        if self._open == key:
            self._open = None
        kind = item.get("type")
        self._claim(key, kind)
        if kind == "message":
            return self._message(key, item)
        if kind == "reasoning":
            return self._rest(key, "thinking", _reasoning(item), Thinking, {"item": item})
        if kind in _CALLS:
            return self._call(key, item, _CALLS[kind])
        if kind == "image_generation_call" and item.get("result"):
            rest = {name: value for name, value in item.items() if name != "result"}
            return self._picture(key, item["result"], item.get("output_format"), {"item": rest})
        if kind == "web_search_call":
            action = item.get("action")
            sources = action.get("sources") if isinstance(action, dict) else None
            self._results.extend(sources if isinstance(sources, list) else ())
        elif kind == "search_results" and isinstance(item.get("results"), list):
            self._results.extend(item["results"])
        return (Delta(self._slot(key, "item").number, Opaque({"item": item})),)

    def _message(self, key: Hashable, item: dict[str, Any]) -> Iterable[Chunk]:
        content = item.get("content")
        if isinstance(content, str):  # some compatible servers use the short form of an input message
            content = [{"type": "output_text", "text": content, "annotations": []}]
        if not content:
            if (key, 0) in self._slots:  # words came, but the item was finished without them
                return
            yield Delta(self._slot(key, "item").number, Opaque({"item": item}))
            return
        rest: dict[str, Any] | None = {name: value for name, value in item.items() if name != "content"}
        for index, piece in enumerate(content):
            is_text = piece.get("type") == "output_text"
            echo: Echo = {"part": {name: value for name, value in piece.items() if name != "text" or not is_text}}
            if rest is not None:
                echo["item"], rest = rest, None
            if is_text:
                annotations = piece.get("annotations")
                self._citations.extend(annotations if isinstance(annotations, list) else ())
                logprobs = piece.get("logprobs")
                self._logprobs.extend(logprobs if isinstance(logprobs, list) else ())
                yield from self._rest(key, index, piece.get("text") or "", Text, echo)
                continue
            if piece.get("type") == "refusal":
                self._refusals.pop((None, index), None)
                self._refusals[key, index] = [piece.get("refusal") or ""]
            yield Delta(self._slot(key, ("other", index)).number, Opaque(echo))

    def _rest(
        self, key: Hashable, piece: Hashable, text: str, kind: type[Text | Thinking], echo: Echo
    ) -> Iterable[Chunk]:
        slot = self._slot(key, piece)
        said = "".join(slot.unnamed) if slot.unnamed else self._ahead.pop(piece, "")
        if said and slot.sent == (len(said) if slot.unnamed else 0):
            # Several items of one kind may have come as one: what is the beginning of this one is no other's.
            if kind is Thinking and not said.startswith(text):
                said = said.removeprefix("\n\n")  # put in where a section began
            if said.startswith(text):
                slot.sent, self._ahead[piece] = len(text), said[len(text) :]
            elif text.startswith(said):
                slot.sent = len(said)
        rest = text[slot.sent :]
        slot.sent += len(rest)
        return (Delta(slot.number, kind(rest, echo)),)

    def _call(self, key: Hashable, item: dict[str, Any], field: str) -> Iterable[Chunk]:
        slot = self._slot(key, "call")
        arguments = item.get(field) or "".join(slot.unnamed)
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
        rest = arguments[slot.sent :]
        slot.sent += len(rest)
        call_id = word(item.get("call_id")) or word(item.get("id")) or f"call_{self._calls}"
        self._calls += 1
        echo = {"item": {name: value for name, value in item.items() if name not in (field, "call_id", "name")}}
        return (Delta(slot.number, ToolCall(call_id, item.get("name") or "", rest, echo)),)

    def _picture(self, key: Hashable, data: str, form: str | None, echo: Echo | None) -> Iterable[Chunk]:
        mime = _IMAGE_TYPES.get(form or "", f"image/{form or 'png'}")
        part: Part = Media(mime, data=data, echo=echo)
        return (Delta(self._slot(key, "image").number, part),)

    # The end

    def _finish(self, response: dict[str, Any], ended: str | None) -> Iterable[Chunk]:
        """The end: of a stream as the event says how it `ended`, or the whole reply."""
        error = response.get("error")
        if error or response.get("object") == "error" or "detail" in response:
            raise failures.from_data(response)
        if ended is not None and not response.get("status"):
            response = {**response, "status": ended}
        if response.get("status") == "failed":
            words = "the provider says that the response failed, without a reason"
            raise failures.from_data({"error": {"code": "server_error", "message": words}})
        output = response.get("output")
        if not isinstance(output, list) and ended is None:
            raise Garbled("the reply is no answer of the Responses API (it has no `output`): check the provider's wire")
        self._response = response
        self.done = True
        chunks: list[Chunk] = []
        for index, item in enumerate(output or ()):
            if (key := self._key({"output_index": index}, item)) not in self._items:
                chunks.extend(self._item(key, item))
        for piece in self._unclaimed.get("call", ()):
            slot = self._slots[None, piece]
            chunks.append(Delta(slot.number, ToolCall("", "", "".join(slot.unnamed))))
        return chunks

    def _stop(self, response: dict[str, Any]) -> tuple[Stop, str | None]:
        status = word(response.get("status"))
        if status == "incomplete":
            # Also with calls in it: the last of them was cut off, none may be run.
            reason = (response.get("incomplete_details") or {}).get("reason")
            return _INCOMPLETE.get(reason or "", "other"), reason or status
        if status not in (None, "completed", "complete"):
            return _STATUS.get(status, "other"), status
        if any(piece == "call" for _, piece in self._slots):
            return "tool_calls", status
        return "content_filter" if self._refusals else "stop", status

    def _extras(self, response: dict[str, Any]) -> dict[str, Json] | None:
        citations = response.get("citations")
        extras: dict[str, Json] = {
            "citations": [*self._citations, *(citations if isinstance(citations, list) else ())],
            "search_results": self._results,
            "logprobs": self._logprobs,
        }
        return {name: value for name, value in extras.items() if value} or None


def _reasoning(item: dict[str, Any]) -> str:
    pieces = [*(item.get("summary") or ()), *(item.get("content") or ())]
    texts = (piece.get("text") for piece in pieces if isinstance(piece, dict))
    return "\n\n".join(text for text in texts if text)


def usage(data: Json) -> Usage | None:
    """`usage` of a response; Chat Completions' names, which some servers use here, count as well."""
    if not isinstance(data, dict):
        return None
    into, out = table(data, "input_tokens_details"), table(data, "output_tokens_details")
    return Usage(
        input=first(data.get("input_tokens"), data.get("prompt_tokens")),
        output=first(data.get("output_tokens"), data.get("completion_tokens")),
        cached=first(into.get("cached_tokens")),
        cache_write=first(into.get("cache_write_tokens")),
        reasoning=first(out.get("reasoning_tokens")),
        usd=dollars(data),
    )
