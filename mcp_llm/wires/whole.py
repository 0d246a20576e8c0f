"""Replies that come whole: their JSON, their events, their base64, or the error that a good status hides.

What the wires of `embed/`, `image/`, `speech/`, `transcribe/` and `video/` have in common. Nothing here knows a vendor.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeVar

from pydantic_core import from_json

from mcp_llm.errors import Garbled

from . import failures
from .base import Field
from .excerpts import beginning
from .frames import Frames
from .reply import STUMBLES, mended, parse
from .words import word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mcp_llm.types.message import Json, Media

    from .base import HttpReply

T = TypeVar("T")


def decoded(decode: Callable[[], T]) -> T:
    """What a decoder written straight gives; what it stumbles over is Garbled."""
    try:
        given = decode()
    except (*STUMBLES, StopIteration) as exc:
        raise Garbled(f"the reply has a shape the wire does not have ({type(exc).__name__}: {str(exc)[:100]})") from exc
    for name in ("model", "id"):
        if not isinstance(told := getattr(given, name, None), str | None):
            setattr(given, name, word(told))
    return given


def body(reply: HttpReply) -> Json:
    """The JSON of a reply. Raises Garbled for what is none, and the error that a good status hides."""
    return checked(parsed(reply), reply)


def parsed(reply: HttpReply) -> Json:
    """The JSON of a reply, whatever it says. Raises Garbled for what is none."""
    try:
        return _read(reply.body)
    except (ValueError, RecursionError) as exc:
        head = beginning(reply.body)
        raise Garbled(f"the reply is no JSON; it {head}" if head else "the reply is empty") from exc


def _read(data: bytes) -> Json:
    """JSON in which halves of surrogate pairs, which nobody can write down, are replaced."""
    try:
        return from_json(data)
    except ValueError:  # which lets no such half through
        return mended(parse(data))


def checked(data: Json, reply: HttpReply) -> Json:
    """The same JSON. Raises the error that is in it."""
    if isinstance(data, dict) and data.get("error"):
        raise failures.from_data(data, headers=reply.headers)
    return data


def untaken(request: object, names: Iterable[str], model: str) -> list[str]:
    """A sentence for each of these fields that is set, and that the dialect has no word for."""
    return [f"`{name}` was not sent: {model} does not take it" for name in names if getattr(request, name) is not None]


def fields(name: str, value: Json) -> list[Field]:
    """A value as the fields of a form, which has words only: true and false as JSON spells them, null is left out.

    Lists and objects are spelled as the vendor's own clients do: `name[]` for each item, `name[key]` for each member.
    """
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [one for item in value for one in fields(name if name.endswith("[]") else f"{name}[]", item)]
    if isinstance(value, dict):
        return [one for key, item in value.items() for one in fields(f"{name}[{key}]", item)]
    return [Field(name, ("true" if value else "false") if isinstance(value, bool) else str(value))]


def link(media: Media) -> str:
    """Where a picture is: its URL, or itself as a data URL."""
    return media.url or f"data:{media.mime};base64,{media.data}"


def is_stream(reply: HttpReply) -> bool:
    """Whether the body is server-sent events, by its own word or by how it begins."""
    kind = reply.headers.get("content-type", "")
    return kind.startswith("text/event-stream") or reply.body.lstrip()[:6] in {b"data: ", b"event:"}


def events(reply: HttpReply) -> list[Json]:
    """The JSON of every event. Raises as `body` does."""
    frames = Frames("sse", max_event=len(reply.body) + 1)
    found = [*frames.feed(reply.body), *frames.close()]
    try:
        payloads = [data for _, data in found if data.strip() not in {b"", b"[DONE]"}]
        return [checked(_read(data), reply) for data in payloads]
    except (ValueError, RecursionError) as exc:
        raise Garbled(f"the reply holds an event that is no JSON; it {beginning(reply.body)}") from exc


def raw(text: object) -> bytes:
    """The bytes of base64. Raises Garbled for anything else."""
    if not isinstance(text, str):
        raise TypeError("base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Garbled("the reply holds base64 that is none") from None
