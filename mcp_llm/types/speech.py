"""Speaking words: the request, the sound of one reply, and the result of a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import Field

from .media import Made
from .message import Value
from .usage import Usage

Sound: TypeAlias = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]

MIMES: dict[str, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/l16",
}


class SpeechRequest(Value):
    """Words of one request. What is None or empty is not sent; `options` goes into the body last.

    `voice` is one of the vendor's names, `speakers` names of people in the text and their voices (Google: two).
    `instructions` say how it is spoken; `speed` 1 is the usual one.
    """

    text: str
    voice: str | None = None
    speakers: dict[str, str] = Field(default_factory=dict)
    format: Sound | None = None
    speed: float | None = None
    instructions: str | None = None
    language: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(slots=True)
class Spoken:
    """What one reply holds. `rate` is set for bare samples (16 bits, one channel): hertz."""

    data: bytes
    mime: str | None = None
    rate: int | None = None
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    id: str | None = None


class Said(Made):
    """The sound as one file; `duration` in seconds where it can be told, `voice` as the vendor calls it."""

    duration: float | None = None
    voice: str | None = None
