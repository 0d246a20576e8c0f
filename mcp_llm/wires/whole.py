"""Replies that come whole: their JSON, their events, their base64, or the error that a good status hides.

What the wires of `embed/`, `image/`, `speech/`, `transcribe/` and `video/` have in common. Nothing here knows a vendor.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeVar

from mcp_llm.errors import Garbled

from . import failures
from .frames import Frames
from .reply import STUMBLES, excerpt, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mcp_llm.types.message import Json

    from .base import HttpReply

T = TypeVar("T")


def decoded(decode: Callable[[], T]) -> T:
    """What a decoder written straight gives; what it stumbles over is Garbled."""
    try:
        return decode()
    except STUMBLES as exc:
        raise Garbled(f"the reply has a shape the wire does not have ({type(exc).__name__}: {str(exc)[:100]})") from exc


def body(reply: HttpReply) -> Json:
    """The JSON of a reply. Raises Garbled for what is none, and the error that a good status hides."""
    return checked(parsed(reply), reply)


def parsed(reply: HttpReply) -> Json:
    """The JSON of a reply, whatever it says. Raises Garbled for what is none."""
    try:
        return parse(reply.body)
    except (ValueError, RecursionError) as exc:
        head = excerpt(reply.body)
        raise Garbled(f"the reply is no JSON; it begins: {head!r}" if head else "the reply is empty") from exc


def checked(data: Json, reply: HttpReply) -> Json:
    """The same JSON. Raises the error that is in it."""
    if isinstance(data, dict) and data.get("error"):
        raise failures.from_data(data, headers=reply.headers)
    return data


def untaken(request: object, names: Iterable[str], model: str) -> list[str]:
    """A sentence for each of these fields that is set, and that the dialect has no word for."""
    return [f"`{name}` was not sent: {model} does not take it" for name in names if getattr(request, name) is not None]


def is_stream(reply: HttpReply) -> bool:
    """Whether the body is server-sent events, by its own word or by how it begins."""
    kind = reply.headers.get("content-type", "")
    return kind.startswith("text/event-stream") or reply.body.lstrip()[:6] in {b"data: ", b"event:"}


def events(reply: HttpReply) -> list[Json]:
    """The JSON of every event. Raises as `body` does."""
    frames = Frames("sse", max_event=len(reply.body) + 1)
    found = [*frames.feed(reply.body), *frames.close()]
    try:
        return [checked(parse(data), reply) for _, data in found if data.strip() not in {b"", b"[DONE]"}]
    except (ValueError, RecursionError) as exc:
        raise Garbled(f"the reply holds an event that is no JSON; it begins: {excerpt(reply.body)!r}") from exc


def raw(text: object) -> bytes:
    """The bytes of base64. Raises Garbled for anything else."""
    if not isinstance(text, str):
        raise TypeError("base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Garbled("the reply holds base64 that is none") from None
