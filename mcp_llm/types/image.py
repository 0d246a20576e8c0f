"""Making pictures: the request, the pictures of one reply, and the result of a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import Field

from .media import Made
from .message import Media, Value
from .usage import Usage

Background: TypeAlias = Literal["transparent", "opaque", "auto"]
Format: TypeAlias = Literal["png", "jpeg", "webp", "gif", "svg"]
Quality: TypeAlias = Literal["low", "medium", "high", "xhigh", "max", "auto"]

MIMES: dict[str, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "svg": "image/svg+xml",
}


class ImageRequest(Value):
    """One request. With `images` it changes or combines them; `mask` says where, by its transparent places.

    `size` is `1024x1024`, an aspect ratio (`16:9`), a class (`2K`) or `auto`; each wire spells what it can. `partial`
    is how many unfinished states are wanted on the way. What is None is not sent; `options` goes into the body last.
    """

    prompt: str
    images: tuple[Media, ...] = ()
    mask: Media | None = None
    n: int = 1
    size: str | None = None
    quality: Quality | None = None
    background: Background | None = None
    format: Format | None = None
    partial: int | None = None
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(slots=True)
class Picture:
    """One picture as it came: its bytes, or where the provider put them for a while."""

    data: bytes | None = None
    url: str | None = None
    revised_prompt: str | None = None


@dataclass(slots=True)
class Pictures:
    """What one reply holds; `text` is what the model said beside the pictures."""

    pictures: list[Picture]
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    id: str | None = None
    text: str = ""


class Painted(Made):
    """Pictures as files, in the order they came; `revised_prompts` is what vendors made of the prompt, if they say."""

    revised_prompts: tuple[str, ...] = ()
    text: str | None = None
    """What the model said beside the pictures."""
