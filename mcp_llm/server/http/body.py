"""A request's body, read whole before anybody works on it: JSON, capped, never unpacked; `protocol.py` is its clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Message, Receive

TOTAL: Final = 128 * 1024 * 1024
"""Bytes of all bodies that are being read or worked on at a time."""


class Unread(Exception):
    """The body is not to be had; `status` and the words are the answer. Status 0: the client is gone."""

    def __init__(self, status: int, words: str = "") -> None:
        super().__init__(words)
        self.status = status


class Bodies:
    """Reads them and keeps account of how much is in memory."""

    def __init__(self, limit: int, *, total: int = TOTAL) -> None:
        self._limit = limit
        self._total = max(total, limit)
        self._held = 0

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The whole body; `release` it when it is done with. Raises Unread, before reading where that can be."""
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
            raise Unread(415, "the body has to be application/json")
        if headers.get(b"content-encoding", b"identity").strip().lower() not in {b"", b"identity"}:
            raise Unread(415, "the body is compressed: send it as it is")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._limit:
            raise self._too_large()
        data = bytearray()
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Unread(0)
                piece = message.get("body", b"")
                if len(data) + len(piece) > self._limit:
                    raise self._too_large()
                if self._held + len(piece) > self._total:
                    raise Unread(503, "too much is being sent to this server at once; try again in a moment")
                data += piece
                self._held += len(piece)
                if not message.get("more_body"):
                    return bytes(data)
        except BaseException:
            self._held -= len(data)
            raise

    def release(self, body: bytes) -> None:
        """The body is no longer in use."""
        self._held -= len(body)

    def _too_large(self) -> Unread:
        return Unread(413, f"the body is larger than {self._limit // 1024 // 1024} MiB")


def replay(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then what comes after it: the client's going."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
