"""Streamable HTTP as the other end of an MCP connection: the SDK's client over an HTTP layer that keeps bounds.

Nothing compressed, nothing above the caps, no redirect to another origin, no proxy or netrc of the environment. What
fails on the way to one answer becomes that answer's error; the connection stays.
"""

from __future__ import annotations

import json
import logging
import re
import time
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import anyio
import anyio.lowlevel
import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from mcp_llm.errors import ToolFailed

from . import text
from .entered import Entered
from .guard import Guard
from .lines import MOST_VALUES, Values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from mcp_types import JSONRPCMessage

    from mcp_llm.redactor import Redactor

MOST_BODY: Final = 16 * 1024 * 1024
MOST_STREAM: Final = 64 * 1024 * 1024
"""Bytes of all events that answer one request."""
CONNECT_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 300.0
_GOODBYE_SECONDS: Final = 2.0
_NOTIFY_SECONDS: Final = 10.0
_MOST_RESUMED: Final = 10
_QUEUE: Final = 256
_MOST_HEADERS: Final = 200
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[!-~]([\t -~]*[!-~])?")
_BLANK: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
_ASKS: Final = re.compile(rb'\{"jsonrpc":"2\.0","id":(\d{1,18}),')
_CANCELS: Final = re.compile(
    rb'\{"jsonrpc":"2\.0","method":"notifications/cancelled","params":\{"requestId":(\d{1,18})[,}]'
)
"""How the SDK writes its messages."""
_INTERNAL: Final = -32603
_REFUSED: Final = {
    401: "it refuses our credentials (HTTP 401): set or renew the token in its `headers`, or `mcp-llm servers login`",
    403: "it forbids the call (HTTP 403): check the token in its `headers`",
    407: "a proxy wants credentials (HTTP 407)",
    413: "the arguments are too big for it (HTTP 413)",
    429: "it is asked too often (HTTP 429): wait",
}

_Read = SessionMessage | Exception


class Link(Entered):
    """A transport for the SDK's client. `lost` is set when nothing will come any more, `fault` says why.

    Raises ToolFailed on entering when the URL cannot be used.
    """

    words: Final = ""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        ca_file: str | None = None,
        signer: Callable[[], Any] | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.guard = Guard()
        self.lost = anyio.Event()
        self.fault: str | None = None
        self._url, self._headers, self._ca_file, self._signer = url, dict(headers), ca_file, signer
        self._redactor = redactor

    @asynccontextmanager
    async def _streams(self) -> AsyncIterator[tuple[Any, Any]]:
        try:
            url = httpx2.URL(self._url)
        except (httpx2.InvalidURL, TypeError, ValueError):
            raise ToolFailed("its `url` cannot be read") from None
        if url.scheme not in {"http", "https"} or not url.host:
            raise ToolFailed("its `url` is no http(s) URL")
        for name, value in self._headers.items():
            # Said here by name: the HTTP layer's own message would quote the value, which may be a key.
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ToolFailed(f"its header {text.line(name, 60)!r} holds characters that no header may have")
        for name in ("httpx2", "httpcore2"):  # at DEBUG and INFO they write URLs and headers
            logging.getLogger(name).setLevel(logging.WARNING)
        inbound, read = anyio.create_memory_object_stream[_Read](0)
        write, outbound = anyio.create_memory_object_stream[SessionMessage](_QUEUE)
        try:
            capped: httpx2.AsyncBaseTransport = _Capped(
                self._transport(url.scheme == "https"), self._signer is not None
            )
            if self._signer is not None:
                from .signed import Signed

                capped = Signed(capped, self._signer(), told, self._redactor)
            timeout = httpx2.Timeout(CONNECT_SECONDS, read=SILENT_SECONDS, write=60.0)
            async with (
                httpx2.AsyncClient(
                    transport=capped, headers=self._headers, timeout=timeout, trust_env=False, max_redirects=3
                ) as client,
                streamable_http_client(self._url, http_client=client, max_sse_event_size=MOST_BODY) as (theirs, ours),
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(self._inward, theirs, inbound, write)
                tasks.start_soon(self._outward, outbound, ours)
                try:
                    yield read, write
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            for stream in (inbound, read, write, outbound):
                stream.close()
            self._lose(None)

    def _transport(self, secure: bool) -> httpx2.AsyncHTTPTransport:
        if not secure:
            return httpx2.AsyncHTTPTransport(trust_env=False)
        context = httpx2.create_ssl_context(trust_env=False)
        if self._ca_file:
            try:
                context.load_verify_locations(self._ca_file)
            except (OSError, ValueError):
                raise ToolFailed("`ca_file` cannot be read as a file of PEM certificates") from None
        return httpx2.AsyncHTTPTransport(verify=context, trust_env=False)

    async def _inward(self, theirs: Any, inbound: Any, replies: Any) -> None:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            async with inbound:
                async for item in theirs:
                    if isinstance(item, Exception):
                        self.guard.skipped += 1
                        continue
                    taken, reply = await self.guard.take(_spelled(item.message))
                    if reply is not None:
                        with suppress(anyio.WouldBlock):
                            replies.send_nowait(SessionMessage(reply))
                    if taken is not None:
                        await inbound.send(SessionMessage(taken))
        self._lose("its connection was closed")

    async def _outward(self, outbound: Any, ours: Any) -> None:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            async for item in outbound:
                self.guard.asked(item.message)
                await ours.send(item)

    def _lose(self, fault: str | None) -> None:
        if not self.lost.is_set():
            self.fault = self.fault or fault
        self.lost.set()


class _Refused(httpx2.StreamError):
    """A body that passed a cap or broke off; of the kind that the SDK turns into the error of one request."""


class _Wait:
    """Waiting for an answer or its next piece, until somebody says that nobody wants it any more.

    `resumed` counts how often the stream of the answer was taken up again after it had broken off.
    """

    def __init__(self) -> None:
        self.left = False
        self.resumed = 0
        self._scope = anyio.CancelScope()

    def leave(self) -> None:
        """End it, now or when it begins again."""
        self.left = True
        self._scope.cancel()

    def patient(self) -> anyio.CancelScope:
        """The scope in which to wait, a new one each time."""
        self._scope = anyio.CancelScope()
        if self.left:
            self._scope.cancel()
        return self._scope


_ANSWER: ContextVar[_Wait | None] = ContextVar("mcp_llm_answer", default=None)
"""The answer that this task waits for: the SDK has one for each request, which also takes up its stream again."""


class _Capped(httpx2.AsyncBaseTransport):
    """Answers every failure with an HTTP answer that holds a JSON-RPC error, because an exception ends the session."""

    def __init__(self, inner: httpx2.AsyncHTTPTransport, signed: bool) -> None:
        self._inner = inner
        self._passed = frozenset({401, 403}) if signed else frozenset[int]()
        self._streams_opened = 0
        self._listening = _Wait()
        self._waits = WeakValueDictionary[bytes, _Wait]()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["accept-encoding"] = "identity"
        if request.method == "DELETE":
            _limit(request, _GOODBYE_SECONDS)
        elif request.method == "GET":
            return await self._listen(request)
        elif b'"method":"notifications/' in request.content[:200]:
            _limit(request, _NOTIFY_SECONDS)  # the SDK sends nothing else meanwhile
        if cancels := _CANCELS.match(request.content):
            try:
                return await self._answer(request, _Wait())
            finally:
                # Before 2026 the notice is the sign, and the SDK reads on: for ever, where a server does not heed it.
                if (wait := self._waits.pop(cancels[1], None)) is not None:
                    wait.leave()
        wait = _Wait()
        asks = _ASKS.match(request.content)
        if asks is None:
            return await self._answer(request, wait)
        self._waits[asks[1]] = wait
        _ANSWER.set(wait)
        self._listening.resumed = 0  # a long session may break off often
        response = await self._answer(request, wait)
        if response.status_code == 200 and _is(response, "application/json"):
            return await _addressed(request, asks[1], response)
        return response

    async def _listen(self, request: httpx2.Request) -> httpx2.Response:
        """The stream of what the server says by itself, or the rest of one that broke off before its answer."""
        wait = _ANSWER.get() or self._listening
        wait.resumed += "last-event-id" in request.headers
        if wait.resumed > _MOST_RESUMED:
            return told(request, "it broke off too often")
        self._streams_opened += 1
        if self._streams_opened > 1:
            # Server-sent ids and `retry: 0` would make the SDK reconnect without a pause.
            with wait.patient():
                await anyio.sleep(1)
        return await self._answer(request, wait)

    async def _answer(self, request: httpx2.Request, wait: _Wait) -> httpx2.Response:
        response: httpx2.Response | None = None
        try:
            with wait.patient():
                response = await self._inner.handle_async_request(request)
        except httpx2.TimeoutException as error:
            return told(request, _slow(error))
        except httpx2.TransportError as error:
            return told(request, f"it cannot be reached ({_reason(error)})")
        if response is None:
            return told(request, "the call was cancelled")
        if fault := _fault(response, self._passed):
            await response.aclose()
            return told(request, fault)
        events = _is(response, "text/event-stream")
        most = (MOST_STREAM if request.method == "POST" else None) if events else MOST_BODY
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Bounded(response.stream, most, events, wait),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, most: int | None, events: bool, wait: _Wait) -> None:
        self._inner, self._most, self._events, self._wait = inner, most, events, wait

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, values, breathed, end = 0, Values(), time.monotonic(), b""
        try:
            pieces = aiter(self._inner)
            while True:
                piece: bytes | None = None
                with self._wait.patient():
                    piece = await anext(pieces, None)
                if self._wait.left:
                    raise _Refused("the call was cancelled")
                if piece is None:
                    return
                size += len(piece)
                if self._most is not None and size > self._most:
                    raise _Refused(f"the answer is bigger than {self._most // 1024 // 1024} MiB")
                end += piece  # a blank line ends an event, also where it comes in two pieces
                if self._events and any(blank in end for blank in _BLANK):
                    values = Values()
                end = end[-3:]
                if values.feed(piece) > MOST_VALUES:
                    raise _Refused("the answer holds too many values")
                if time.monotonic() - breathed > 0.02:  # a fast sender must not keep the event loop
                    await anyio.lowlevel.checkpoint()
                    breathed = time.monotonic()
                yield piece
        except httpx2.TimeoutException as error:
            raise _Refused(_slow(error)) from None
        except httpx2.TransportError as error:
            raise _Refused(f"its answer broke off ({_reason(error)})") from None

    async def aclose(self) -> None:
        await self._inner.aclose()


def _fault(response: httpx2.Response, passed: frozenset[int]) -> str | None:
    """Why an answer is refused before its body is read; a status that is `passed` is somebody else's to judge."""
    if len(response.headers.raw) > _MOST_HEADERS:
        return f"its answer has {len(response.headers.raw)} headers"
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in {"", "identity"}:
        return f"its answer is compressed ({coding[:20]!r}), which was not asked for"
    length = response.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 15 or int(length) > MOST_BODY):
        return f"its answer is bigger than {MOST_BODY // 1024 // 1024} MiB"
    spoken = _is(response, "application/json")
    if response.status_code in _REFUSED and not spoken and response.status_code not in passed:
        return _REFUSED[response.status_code]
    if response.status_code >= 500 and not spoken:
        return f"it answers HTTP {response.status_code}"
    return None


def _is(response: httpx2.Response, kind: str) -> bool:
    return response.headers.get("content-type", "").lower().startswith(kind)


async def _addressed(request: httpx2.Request, number: bytes, response: httpx2.Response) -> httpx2.Response:
    """The answer, for the request that it came on: the SDK would wait on for one that names another, or none.

    An error without an id is what a gateway says that has not looked into the request.
    """
    try:
        body = await response.aread()
    except httpx2.StreamError as error:
        return told(request, str(error))
    finally:
        await response.aclose()
    if not re.search(rb'"id"\s*:\s*"?%b\b' % number, body):
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            return told(request, "its answer cannot be read as JSON")
        if not isinstance(said, dict) or said.get("id") is not None or "error" not in said:
            return told(request, "what came back is no answer to the request")
        body = json.dumps({**said, "id": int(number)}).encode()
    return httpx2.Response(200, headers=response.headers, stream=httpx2.ByteStream(body))


def told(request: httpx2.Request, sentence: str) -> httpx2.Response:
    """The answer that becomes the error of one request."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": _INTERNAL, "message": sentence}}
    body = json.dumps(error).encode()
    return httpx2.Response(502, headers={"content-type": "application/json"}, content=body, request=request)


def _limit(request: httpx2.Request, seconds: float) -> None:
    request.extensions = {
        **request.extensions,
        "timeout": {"connect": seconds, "read": seconds, "write": seconds, "pool": seconds},
    }


def _slow(error: httpx2.TimeoutException) -> str:
    if isinstance(error, httpx2.ConnectTimeout):
        return "it cannot be reached (no connection in time)"
    return f"it was silent for {SILENT_SECONDS:.0f} s"


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.LocalProtocolError):
        return type(error).__name__  # its words quote our request
    return text.line(str(error), 150) or type(error).__name__


def _spelled(message: JSONRPCMessage) -> dict[str, Any]:
    """The message's own fields, without a deep copy."""
    spelled: dict[str, Any] = {name: getattr(message, name) for name in message.model_fields_set}
    error = spelled.get("error")
    if error is not None:
        spelled["error"] = {"code": error.code, "message": error.message, "data": error.data}
    return spelled
