"""Parts and messages: what people, models and tools say to one another, in no vendor's spelling.

A part is a slotted frozen dataclass because a stream makes one per delta (0.7 us against 1.3 us as a pydantic model);
`Message` validates and dumps them at the edges. Parts of one kind add, so folding a stream is addition.

`echo` is the wire's own opaque state of a part - signatures, item ids, phases, encrypted reasoning. Only the wire that
wrote it reads it, and it goes back only to the model that wrote it (`wires/handoff.py` strips it everywhere else).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Json: TypeAlias = Any
"""A JSON value as Python has it: dict, list, str, int, float, bool or None."""

Echo: TypeAlias = dict[str, Any]

_STRICT = ConfigDict(extra="forbid")


class Value(BaseModel):
    """A frozen pydantic model that refuses unknown fields: everything that may cross a process boundary."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def merge_echo(a: Echo | None, b: Echo | None) -> Echo | None:
    """Join the opaque state of two deltas of one part: lists append, everything else is overwritten by the later."""
    if a is None or b is None:
        return b if a is None else a
    joined = dict(a)
    for key, value in b.items():
        old = joined.get(key)
        joined[key] = [*old, *value] if isinstance(old, list) and isinstance(value, list) else value
    return joined


@dataclass(frozen=True, slots=True)
class Text:
    """Words: `text`. In an assistant's message: the answer.

    `echo` is the wire's own state, for the model that wrote it; `type` tells parts apart in JSON.
    """

    text: str
    echo: Echo | None = None
    type: Literal["text"] = "text"
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    def __add__(self, other: Text) -> Text:
        return Text(self.text + other.text, merge_echo(self.echo, other.echo))


@dataclass(frozen=True, slots=True)
class Thinking:
    """The model's reasoning as far as the vendor shows it; `text` is "" where only its signature is given."""

    text: str
    echo: Echo | None = None
    type: Literal["thinking"] = "thinking"
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    def __add__(self, other: Thinking) -> Thinking:
        return Thinking(self.text + other.text, merge_echo(self.echo, other.echo))


@dataclass(frozen=True, slots=True)
class Media:
    """An image, PDF, audio or video: base64 `data` without a `data:` prefix, or a `url` for the provider to fetch.

    `mime` says what it is (`image/png`), `name` what it is called. `echo` is the wire's own state, for the model that
    wrote it; `type` tells parts apart in JSON.
    """

    mime: str
    data: str | None = None
    url: str | None = None
    name: str | None = None
    echo: Echo | None = None
    type: Literal["media"] = "media"
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    @property
    def modality(self) -> str:
        """`image`, `pdf`, `audio`, `video`, or `file` for anything else."""
        if self.mime == "application/pdf":
            return "pdf"
        family = self.mime.partition("/")[0]
        return family if family in {"image", "audio", "video"} else "file"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model wants made. `arguments` is the raw JSON text it wrote, cut off where the model was cut off."""

    id: str
    name: str
    arguments: str = ""
    echo: Echo | None = None
    type: Literal["tool_call"] = "tool_call"
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    def __add__(self, other: ToolCall) -> ToolCall:
        # Some compatible servers repeat id and name on every delta: they are set once, only arguments grow.
        return ToolCall(
            self.id or other.id,
            self.name or other.name,
            self.arguments + other.arguments,
            merge_echo(self.echo, other.echo),
        )


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered: texts and media, in a user's message, all results of one turn together."""

    id: str
    name: str
    parts: tuple[Text | Media, ...] = ()
    is_error: bool = False
    type: Literal["tool_result"] = "tool_result"
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    @property
    def text(self) -> str:
        """The texts of the result, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class Opaque:
    """What means something only to the wire that wrote it (a server tool's block, redacted thinking): all in `echo`."""

    echo: Echo
    type: Literal["opaque"] = "opaque"
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


Part: TypeAlias = Text | Thinking | Media | ToolCall | ToolResult | Opaque


class Origin(Value):
    """Who wrote an assistant's message: `echo` in it is good for exactly this provider, model and wire."""

    provider: str
    model: str
    wire: str


class Message(Value):
    """One turn: its `role` and its `parts`. The system's words live on the request, tool results in the user's message.

    `origin` is the model that wrote it, so that opaque state goes back to no other.
    """

    role: Literal["user", "assistant"]
    parts: tuple[Annotated[Part, Field(discriminator="type")], ...]
    origin: Origin | None = None

    @property
    def text(self) -> str:
        """The answer's words: all texts joined, without thinking."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def thinking(self) -> str:
        """The reasoning shown, pieces separated by a blank line."""
        return "\n\n".join(part.text for part in self.parts if isinstance(part, Thinking) and part.text)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls the model wants made, in its order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


def user(*parts: Part | str) -> Message:
    """A user's message from strings and parts."""
    return Message(role="user", parts=tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part | str) -> Message:
    """An assistant's message from strings and parts, as if it had been said by nobody in particular."""
    return Message(role="assistant", parts=tuple(Text(part) if isinstance(part, str) else part for part in parts))
