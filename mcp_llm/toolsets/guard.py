"""What a server may say to us, message by message: answers to what was asked, little else.

Notifications that could flood are turned into a flag or dropped, requests are answered here (we offer servers nothing:
no sampling, no roots, no questions to the user), and lists of tools pass `listing` before the SDK reads them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from mcp_types.jsonrpc import ErrorData

from . import text
from .listing import Listing, listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_types import JSONRPCMessage

MOST_NOTES: Final = 20
VERSION: Final = "io.modelcontextprotocol/protocolVersion"
"""Every request of the stateless era has it in `_meta`."""
MOST_BLOCKS: Final = 1000
"""Content blocks of one result."""
_A_SECOND: Final = 50
"""Progress messages, and answers to requests, in one second; further ones are dropped."""
_MOST_ID: Final = 200
_THREAD_FROM: Final = 20
_METHOD_NOT_FOUND: Final = -32601
_INTERNAL: Final = -32603


class Guard:
    """One connection's judgement: `changed` once the server says that its tools did; `skipped` counts garbage."""

    def __init__(self) -> None:
        self.changed = False
        self.skipped = 0
        self.notes: list[str] = []
        self._asked: set[int | str] = set()
        self._stateless = False
        self._second = 0
        self._passed = 0

    def note(self, sentence: str) -> None:
        """Keep a sentence for the user, unless there are too many or it is known."""
        if len(self.notes) < MOST_NOTES and sentence not in self.notes:
            self.notes.append(sentence)

    def asked(self, message: JSONRPCMessage) -> None:
        """A message of ours goes out."""
        if isinstance(message, JSONRPCRequest):
            self._asked.add(message.id)
            self._stateless = VERSION in ((message.params or {}).get("_meta") or {})
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._known((message.params or {}).get("requestId"))  # nobody waits for it any more

    def answer(self, request: int | str, message: str) -> JSONRPCError | None:
        """An error for one request, if it is under way."""
        known = self._known(request)
        return None if known is None else _error(known, _INTERNAL, message)

    async def take(self, message: Mapping[str, Any]) -> tuple[JSONRPCMessage | None, JSONRPCMessage | None]:
        """(what the client may read, what goes back to the server), for a message of the server's."""
        if message.get("jsonrpc") != "2.0":  # a line of a log, which may have an `id` as well
            self.skipped += 1
            return None, None
        method = message.get("method")
        if isinstance(method, str):
            if "id" in message:
                return None, self._request(method, message["id"])
            return self._notification(method, message.get("params")), None
        request = self._known(message.get("id"))
        if request is None:
            self.skipped += 1
            return None, None
        result = message.get("result")
        if isinstance(result, dict):
            return JSONRPCResponse(jsonrpc="2.0", id=request, result=await self._result(result)), None
        return _refusal(request, message.get("error")), None

    def _known(self, given: object) -> int | str | None:
        """The id of a request under way; some servers send numbers back as strings. Each is answered once."""
        if isinstance(given, bool) or not isinstance(given, int | str):
            return None
        if given not in self._asked and isinstance(given, str) and given.isdecimal() and len(given) < 16:
            given = int(given)
        if given not in self._asked:
            return None
        self._asked.discard(given)
        return given

    def _request(self, method: str, request: object) -> JSONRPCMessage | None:
        if self._stateless:  # in that era servers ask nothing and clients answer nothing
            return None
        if isinstance(request, bool) or not isinstance(request, int | str) or not self._may_pass():
            return None
        if (len(request) if isinstance(request, str) else request.bit_length()) > _MOST_ID:
            return None  # answers wait, 256 of them, for a server that does not read
        if method == "ping":
            return JSONRPCResponse(jsonrpc="2.0", id=request, result={})
        if method == "elicitation/create":
            return JSONRPCResponse(jsonrpc="2.0", id=request, result={"action": "decline"})
        return _error(request, _METHOD_NOT_FOUND, "Method not found")

    def _notification(self, method: str, params: object) -> JSONRPCMessage | None:
        if method == "notifications/tools/list_changed":
            self.changed = True
            return None
        wanted = {"notifications/progress", "notifications/cancelled", "notifications/subscriptions/acknowledged"}
        if method not in wanted or not isinstance(params, dict) or not self._may_pass():
            return None
        return JSONRPCNotification(jsonrpc="2.0", method=method, params=params)

    def _may_pass(self) -> bool:
        now = int(time.monotonic())
        if now != self._second:
            self._second, self._passed = now, 0
        self._passed += 1
        return self._passed <= _A_SECOND

    async def _result(self, result: dict[str, Any]) -> dict[str, Any]:
        tools = result.get("tools")
        if isinstance(tools, list):
            few = len(tools) <= _THREAD_FROM
            found: Listing = listing(tools) if few else await anyio.to_thread.run_sync(listing, tools)
            for sentence in found.notes:
                self.note(sentence)
            result = {**result, "tools": found.tools}
        content = result.get("content")
        if isinstance(content, list) and len(content) > MOST_BLOCKS:
            cut = {"type": "text", "text": f"[{len(content) - MOST_BLOCKS} further blocks were left out]"}
            result = {**result, "content": [*content[:MOST_BLOCKS], cut]}
        return result


def _refusal(request: int | str, error: object) -> JSONRPCError:
    if not isinstance(error, dict):
        return _error(request, _INTERNAL, "the server's answer has neither a result nor an error")
    code, message = error.get("code"), error.get("message")
    number = code if isinstance(code, int) and not isinstance(code, bool) else _INTERNAL
    words = text.clean(message, 2048) if isinstance(message, str) else "the server gave no reason"
    # `data` stays: the handshake reads the versions a server names there.
    return JSONRPCError(jsonrpc="2.0", id=request, error=ErrorData(code=number, message=words, data=error.get("data")))


def _error(request: int | str, code: int, message: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=request, error=ErrorData(code=code, message=message))
