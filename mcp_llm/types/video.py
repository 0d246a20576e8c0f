"""Making films: the request, how a job at the provider stands, and the result of a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import Field

from .media import Made
from .message import Media, Value
from .usage import Usage

Status: TypeAlias = Literal["running", "ended", "failed", "cancelled", "expired"]


class VideoRequest(Value):
    """One film. `image` is its first picture, `references` show who or what occurs. What is None is not sent.

    `seconds` is how long it shall be, `ratio` its shape (`16:9`), `resolution` its size (`720p`).
    """

    prompt: str
    image: Media | None = None
    references: tuple[Media, ...] = ()
    seconds: int | None = None
    ratio: str | None = None
    resolution: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(slots=True)
class Job:
    """How a job stands; of one that has ended, the film: its bytes, or where the provider put them for a while."""

    status: Status
    percent: int | None = None
    message: str | None = None
    data: bytes | None = None
    url: str | None = None
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    id: str | None = None


class Filmed(Made):
    """The film as a file, `seconds` long; `job_id` is the provider's name for the job it came from."""

    job_id: str | None = None
    seconds: float | None = None
