"""Whether there is room for one more call over stdio, decided as its line is read: before anything is made of it.

HTTP has its own door (`http/app.py`), where calls have callers. What is no call is always let in: a cancellation above
all, because it is what makes room.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.dispatcher import coerce_request_id
from mcp.types import JSONRPCNotification, JSONRPCRequest

from .declared import MODERN

if TYPE_CHECKING:
    from mcp.types import JSONRPCMessage, RequestId

FREE: Final = frozenset({"initialize", "ping", "server/discover", "subscriptions/listen"})
"""Requests that are no work."""
ASKED: Final = 128 * 1024 * 1024
"""Bytes of all calls in flight, as they came."""
UNREAD: Final = 16 * 1024 * 1024
"""Bytes of answers that the client has not taken; while there are more, no call begins."""
BUSY: Final = -32000
RETRY_S: Final = 1
UNREAD_WORDS: Final = "the answers to earlier calls have not been read"


class Admission:
    """Keeps account of the calls in flight of one client. `unread` are the bytes of answers that wait for it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[RequestId, int] = {}
        self._asked = 0
        self.unread = 0

    def refused(self, message: JSONRPCMessage, size: int) -> bytes | None:
        """None for a message that comes in, and if it is a call it counts from now on; else the answer to it."""
        if isinstance(message, JSONRPCNotification):
            if message.method == "notifications/cancelled":  # such a call is never answered
                self.done((message.params or {}).get("requestId"))
            return None
        if not isinstance(message, JSONRPCRequest) or message.method in FREE:
            return None
        if len(self._open) >= self._most:
            return told(message, f"{self._most} calls are in flight")
        if self._asked + size > ASKED:
            return told(message, f"calls of {ASKED // 2**20} MiB are in flight")
        if self.unread > UNREAD:
            return told(message, UNREAD_WORDS)
        key = coerce_request_id(message.id)
        self._asked += size - self._open.get(key, 0)
        self._open[key] = size
        return None

    def stopped(self, message: JSONRPCMessage) -> bytes | None:
        """The answer to a call that was let in and may not begin after all, because nobody reads; else None."""
        if self.unread <= UNREAD or not isinstance(message, JSONRPCRequest) or message.method in FREE:
            return None
        self.done(message.id)
        return told(message, UNREAD_WORDS)

    def done(self, identifier: Any) -> None:
        """The call of this id is no more."""
        if isinstance(identifier, str | int):
            self._asked -= self._open.pop(coerce_request_id(identifier), 0)


def told(call: JSONRPCRequest, why: str) -> bytes:
    """That there is no room now: of a tool as its result, because hosts show errors of the protocol to nobody."""
    words = f"{why}; try again in a second"
    if call.method != "tools/call":
        return _line(call, error={"code": BUSY, "message": words, "data": {"retry_after_s": RETRY_S}})
    result: dict[str, Any] = {
        "content": [{"type": "text", "text": words}],
        "structuredContent": {"error": words, "retry_after_s": RETRY_S},
        "isError": True,
    }
    meta = (call.params or {}).get("_meta")
    if isinstance(meta, dict) and meta.get("io.modelcontextprotocol/protocolVersion") in MODERN:
        result["resultType"] = "complete"
    return _line(call, result=result)


def _line(call: JSONRPCRequest, **answer: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": call.id, **answer}).encode() + b"\n"
