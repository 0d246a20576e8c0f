"""Whole answers without a framework: status, headers, a JSON body. Refusals are JSON-RPC errors without an id."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Send

SERVER_ERROR: Final = -32000
"""JSON-RPC's code for what the implementation defines; clients show the words that come with it."""
Header = tuple[bytes, bytes]


async def reply(send: Send, status: int, data: Any, headers: Sequence[Header] = ()) -> None:
    """Answer with JSON, never to be cached."""
    body = json.dumps(data, separators=(",", ":")).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-store"),
                (b"x-content-type-options", b"nosniff"),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, status: int, words: str, headers: Sequence[Header] = ()) -> None:
    """Refuse a request before it is anybody's: what came with it is not read, so the connection ends with it."""
    error = {"code": SERVER_ERROR, "message": words}
    await reply(send, status, {"jsonrpc": "2.0", "id": None, "error": error}, [(b"connection", b"close"), *headers])


async def busy(send: Send, status: int, words: str, seconds: float) -> None:
    """Refuse for now: 503 when the server has too much, 429 when the caller asks too much."""
    await refuse(send, status, words, [(b"retry-after", str(max(1, round(seconds + 0.499))).encode())])
