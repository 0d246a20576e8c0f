"""Writing speech down: the request, the transcript of one reply, and the result of a call. Times are seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import Field

from .media import Made
from .message import Value
from .usage import Usage

Timestamps: TypeAlias = Literal["segment", "word"]


class TranscribeRequest(Value):
    """One recording, or a piece of one. What is None or empty is not sent; `options` goes into the body last.

    `language` is what is spoken (`en`), `prompt` words that help (names, the sentence before), `translate` writes it
    down in English. `duration` is how long it is, where that is known.
    """

    data: bytes = Field(repr=False)
    mime: str
    name: str
    language: str | None = None
    prompt: str | None = None
    timestamps: Timestamps | None = None
    diarize: bool | None = None
    translate: bool | None = None
    stream: bool | None = None
    duration: float | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class Segment(Value):
    """Some words, when they were said, and by whom, as far as that is known."""

    text: str
    start: float | None = None
    end: float | None = None
    speaker: str | None = None

    def later(self, seconds: float) -> Segment:
        """The same, in a recording whose piece began so much later."""
        return self.model_copy(
            update={
                name: round(value + seconds, 3)
                for name in ("start", "end")
                if (value := getattr(self, name)) is not None
            }
        )


@dataclass(slots=True)
class Transcript:
    """What one reply holds."""

    text: str
    segments: list[Segment] = field(default_factory=list)
    words: list[Segment] = field(default_factory=list)
    language: str | None = None
    duration: float | None = None
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    id: str | None = None


class Transcribed(Made):
    """The words in `response`; `segments` and `words` with their times where they were asked for and are offered.

    `language` is what was spoken, `duration` seconds.
    """

    language: str | None = None
    duration: float | None = None
    segments: tuple[Segment, ...] = ()
    words: tuple[Segment, ...] = ()
