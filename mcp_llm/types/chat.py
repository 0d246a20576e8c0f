"""Asking a chat model: the request, the chunks of its answer, and the fold that makes a response of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import Field

from .message import Json, Message, Origin, Part, Text, Thinking, ToolCall, Value
from .usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Stop: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "pause", "error", "cancelled", "other"]
"""Why a model stopped, in one vocabulary; `pause` means: send the conversation again unchanged to go on."""

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class ToolSpec(Value):
    """A function the model may ask for. `parameters` is a JSON Schema whose root is an object; it is never changed.

    `name` is what it is called by, `description` what it does and when, in words for the model; `strict` asks the
    vendors that know it to hold arguments to the schema.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None


class ChatRequest(Value):
    """One request to a chat model. What is None is not sent; `options` goes into the provider's body untouched, last.

    `tool_choice` is `auto`, `none`, `required` or the name of a tool. `json_output` asks for any JSON object,
    `json_schema` for one of that shape. `effort` and `thinking_budget` (tokens; 0 = off, -1 = the model decides) steer
    reasoning; each wire spells what it can. `temperature` and the other sampling values are as the vendors define them.
    """

    messages: tuple[Message, ...]
    system: str | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: tuple[str, ...] = ()
    effort: Effort | None = None
    thinking_budget: int | None = None
    json_output: bool = False
    json_schema: dict[str, Any] | None = None
    stream: bool = True
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delta:
    """A partial part for one slot of the answer; slots are any integers, ordered by first appearance."""

    slot: int
    part: Part


@dataclass(frozen=True, slots=True)
class End:
    """The last chunk, exactly once: why the model stopped and what it used. `stop_raw` is the vendor's own word.

    `note` is what the vendor said about it (a refusal's explanation, a block reason); `extras` what has no neutral name
    and is worth telling the caller (citations, search results, log probabilities), JSON.
    """

    stop: Stop
    stop_raw: str | None = None
    usage: Usage | None = None
    model: str | None = None
    id: str | None = None
    note: str | None = None
    extras: dict[str, Json] | None = None


Chunk: TypeAlias = Delta | End


class ChatResponse(Value):
    """A whole answer: the message with its origin, why it ended, what it used, what the vendor calls it."""

    message: Message
    stop: Stop
    stop_raw: str | None = None
    usage: Usage = Field(default_factory=Usage)
    model: str | None = None
    id: str | None = None
    note: str | None = None
    extras: dict[str, Json] | None = None

    @property
    def text(self) -> str:
        """The answer's words."""
        return self.message.text


class _Growing:
    """One slot: the first delta, and of the later ones only what they add, so that a long stream keeps few objects."""

    __slots__ = ("echoes", "part", "pieces")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.pieces: list[str] = []
        self.echoes: list[dict[str, Any]] = []

    def add(self, part: Part) -> None:
        kind = type(part)
        if kind is not type(self.part):
            raise TypeError(f"a {kind.__name__} cannot be added to a {type(self.part).__name__}")
        if isinstance(part, Text | Thinking):
            self.pieces.append(part.text)
        elif isinstance(part, ToolCall):
            assert isinstance(self.part, ToolCall)
            self.pieces.append(part.arguments)
            if (part.id and not self.part.id) or (part.name and not self.part.name):
                first = self.part
                self.part = ToolCall(first.id or part.id, first.name or part.name, first.arguments, first.echo)
        else:
            self.part = part  # media and opaque parts come whole: a later one replaces the earlier (partial images)
            return
        if part.echo is not None:
            self.echoes.append(part.echo)

    def words(self) -> Iterator[str]:
        """The pieces of the text, the thought or the arguments."""
        if isinstance(self.part, Text | Thinking):
            yield self.part.text
        elif isinstance(self.part, ToolCall):
            yield self.part.arguments
        yield from self.pieces

    def whole(self) -> Part:
        part = self.part
        if not self.pieces:
            return part
        if isinstance(part, Text | Thinking):
            return type(part)(part.text + "".join(self.pieces), sum_echo([part.echo, *self.echoes]))
        assert isinstance(part, ToolCall)
        return ToolCall(part.id, part.name, part.arguments + "".join(self.pieces), sum_echo([part.echo, *self.echoes]))


class Fold:
    """Adds chunks up to a response. Texts and arguments are joined once at the end, so a long stream stays linear."""

    __slots__ = ("_slots", "end")

    def __init__(self) -> None:
        self.end: End | None = None
        self._slots: dict[int, _Growing] = {}

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        if isinstance(chunk, End):
            self.end = chunk
        elif (growing := self._slots.get(chunk.slot)) is None:
            self._slots[chunk.slot] = _Growing(chunk.part)
        else:
            growing.add(chunk.part)

    def parts(self) -> tuple[Part, ...]:
        """The parts so far, empty ones left out unless they carry opaque state."""
        whole = (growing.whole() for growing in self._slots.values())
        return tuple(
            part for part in whole if not isinstance(part, Text | Thinking) or part.text or part.echo is not None
        )

    def text(self, most: int | None = None) -> str:
        """The words so far, or the first so many characters of them."""
        pieces = (piece for one in self._slots.values() if isinstance(one.part, Text) for piece in one.words())
        if most is None:
            return "".join(pieces)
        taken: list[str] = []
        for piece in pieces:
            taken.append(piece[:most])
            most -= len(piece)
            if most <= 0:
                break
        return "".join(taken)

    def written(self) -> int:
        """Characters of all texts, thoughts and arguments, without joining them."""
        return sum(len(piece) for growing in self._slots.values() for piece in growing.words())

    def response(self, origin: Origin | None = None) -> ChatResponse:
        """The whole answer; without an `End` it reads as an answer that stopped for an unknown reason."""
        end = self.end or End(stop="other")
        return ChatResponse(
            message=Message(role="assistant", parts=self.parts(), origin=origin),
            stop=end.stop,
            stop_raw=end.stop_raw,
            usage=end.usage or Usage(),
            model=end.model,
            id=end.id,
            note=end.note,
            extras=end.extras,
        )


def sum_echo(echoes: Iterable[dict[str, Any] | None]) -> dict[str, Any] | None:
    """`merge_echo` over many, linear."""
    joined: dict[str, Any] | None = None
    for echo in echoes:
        if echo is None:
            continue
        if joined is None:
            joined = {key: list(value) if isinstance(value, list) else value for key, value in echo.items()}
            continue
        for key, value in echo.items():
            old = joined.get(key)
            if isinstance(old, list) and isinstance(value, list):
                old.extend(value)
            else:
                joined[key] = list(value) if isinstance(value, list) else value
    return joined
