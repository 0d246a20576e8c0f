"""A conversation in both directions at once: how it begins, and what happens in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import Field

from .chat import Stop, ToolSpec
from .message import ToolCall, Value
from .usage import Usage


class RealtimeRequest(Value):
    """How a session begins. What is None is left to the vendor; `options` goes into its opening last.

    `speak` False: it answers in text. `listen` True: the vendor hears for itself when somebody begins and ends to talk;
    False: whoever sends sound says when a turn is over. `transcribe`: what was heard is told as words, too.
    """

    instructions: str | None = None
    voice: str | None = None
    speak: bool = True
    listen: bool = True
    transcribe: bool = True
    language: str | None = None
    temperature: float | None = None
    tools: tuple[ToolSpec, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ready:
    """The session stands: sound and words may be sent."""


@dataclass(frozen=True, slots=True)
class SoundOut:
    """Samples of the model's voice: 16 bits, little-endian, one channel, `rate` hertz."""

    data: bytes
    rate: int


@dataclass(frozen=True, slots=True)
class Words:
    """Words of the model's answer as they come, spoken or written; or, `heard`, what the user was heard to say."""

    text: str
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Tools that the model wants called; the session calls those it was given."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """Calls that the model does not want any more, by id."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The user has begun to talk, or stopped the answer: what of it has not been played should not be."""


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """The model's turn is over. `usage` is what it used, None where that is told apart or not at all."""

    stop: Stop = "stop"
    usage: Usage | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """What was used since the last time it was told."""

    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Leaving:
    """The vendor will close the session; `seconds` are left, where it says."""

    seconds: float | None = None


RealtimeEvent: TypeAlias = Ready | SoundOut | Words | Wanted | Dropped | Interrupted | TurnEnd | Used | Leaving
