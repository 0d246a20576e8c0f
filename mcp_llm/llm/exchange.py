"""One attempt at one target: encode, send, decode. Knows nothing of retries, money or who is next."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from operator import is_
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import anyio

from mcp_llm.catalog import address
from mcp_llm.errors import Disconnected, Error, ProviderError, Timeout, Unsupported
from mcp_llm.types.chat import End
from mcp_llm.types.message import Origin
from mcp_llm.types.text import name
from mcp_llm.wires import chat, handoff
from mcp_llm.wires.base import HttpReply
from mcp_llm.wires.failures import failure, request_id
from mcp_llm.wires.reply import Reply
from mcp_llm.wires.whole import decoded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from mcp_llm.catalog.find import Target
    from mcp_llm.http.transport import Deadlines, Exchange, Transport
    from mcp_llm.types.chat import ChatRequest, Chunk
    from mcp_llm.wires.base import HttpRequest

    from .access import Access
    from .backends import Backend

T = TypeVar("T")

LINGER: Final = 0.1
"""Seconds given to a provider to end its reply after the marker that says it is over."""


NAMED: Final = 1000
"""Characters of a name of the provider's own choosing that are kept."""


def encode(request: ChatRequest, target: Target) -> HttpRequest:
    """The request in the target's wire, history made fit for it."""
    try:
        wire = chat.wire(target.wire)
    except KeyError:
        raise Unsupported(f"{target.provider_id} names the chat wire {target.wire!r}, which does not exist") from None
    if any(message.role == "assistant" for message in request.messages) or len(request.messages) > 1:
        origin = Origin(provider=target.provider_id, model=target.model_id, wire=target.wire)
        messages = handoff.fit(request.messages, origin, ids=getattr(target.quirks, "tool_id", None))
        if len(messages) != len(request.messages) or not all(map(is_, messages, request.messages)):
            request = request.model_copy(update={"messages": messages})
    return wire.encode(request, target.model_id, target.quirks)


async def sent(
    http: HttpRequest, target: Target, access: Access, transport: Transport, deadlines: Deadlines
) -> Exchange:
    """Send it; a reply with a good status, which is the caller's to close.

    Raises the error any other stands for; who raised it is filled in.
    """
    headers = access.headers(target.provider_id, target.provider)
    base_url = access.target_url(target)
    try:
        exchange = await transport.stream(base_url, http, headers, deadlines).open()
        if exchange.status >= 400:
            try:
                # Its words are in no name of this frame: a key that is quoted there would be in crash reports.
                raise failure(
                    exchange.status, exchange.headers, await exchange.words(), codes=target.provider.error_codes
                )
            finally:
                exchange.close()
    except ProviderError as exc:
        access.blamed(_away(exc, target, base_url), target.provider_id, target.provider)
        raise
    return exchange


async def whole(
    http: HttpRequest,
    target: Target,
    access: Access,
    transport: Transport,
    deadlines: Deadlines,
    *,
    cap: int,
    decode: Callable[[HttpReply], T],
    on_data: Callable[[bytes], Awaitable[None]] | None = None,
) -> T:
    """Send it, read all of the reply, at most `cap` bytes, and decode it; `on_data` gets the bytes as they come."""
    exchange = await sent(http, target, access, transport, deadlines)
    try:
        pieces = []
        async for data in exchange.chunks(cap):
            pieces.append(data)
            if on_data is not None:
                await on_data(data)
        reply = HttpReply(exchange.status, exchange.headers, b"".join(pieces))
        pieces.clear()
        return decoded(lambda: decode(reply))
    except ProviderError as exc:
        exc.request_id = exc.request_id or request_id(exchange.headers)
        access.blamed(exc, target.provider_id, target.provider)
        raise
    finally:
        exchange.close()


@asynccontextmanager
async def over_http(
    http: HttpRequest, target: Target, access: Access, transport: Transport, deadlines: Deadlines
) -> AsyncIterator[AsyncGenerator[list[Chunk]]]:
    """Send it and give the decoded chunks. Raises as `sent` does."""
    reply = Reply(chat.wire(target.wire), target.quirks)
    exchange = await sent(http, target, access, transport, deadlines)

    async def batches() -> AsyncGenerator[list[Chunk]]:
        exchange.heard()  # the head of the reply
        try:
            async for data in exchange.chunks():
                chunks = reply.feed(data)
                if reply.moved:
                    exchange.heard()
                if chunks:
                    yield _unnamed(chunks, access)
                if reply.done:
                    break
            yield _unnamed(reply.close(), access)
        except ProviderError as exc:
            access.blamed(exc, target.provider_id, target.provider)
            raise

    stream = batches()
    try:
        yield stream
        if reply.done:  # the answer is out; a moment for the rest keeps the connection for the next call
            await exchange.drain(LINGER)
    finally:
        exchange.close()  # first: to close the stream is waited for
        await stream.aclose()


@asynccontextmanager
async def over_backend(
    request: ChatRequest, target: Target, backend: Backend, left: float
) -> AsyncIterator[AsyncGenerator[list[Chunk]]]:
    """The same for a provider that is code, which has `left` seconds for all of its answer."""
    until = anyio.current_time() + left

    async def batches() -> AsyncGenerator[list[Chunk]]:
        source = backend.stream(request, target.model_id)
        chunks = aiter(source)
        try:
            while True:
                chunk: Chunk | None = None
                # A scope for each chunk: none may be open while a generator waits to be asked.
                with anyio.CancelScope(deadline=until) as scope:
                    chunk = await anext(chunks, None)
                if scope.cancelled_caught:
                    words = f"the call was not finished within {round(left, 2):g} s"
                    raise Timeout(
                        f"{words} (total deadline; it is set as `timeouts.total`, for one call as `timeout_s`)"
                    )
                if chunk is None:
                    return
                yield [chunk]
        except Error:
            raise
        except (Exception, SystemExit) as exc:  # an exit would end the loop that everybody runs on
            # Somebody's own code: its text may hold anything, its type is enough to look for.
            raise Disconnected(f"the provider's own code failed with {type(exc).__name__}", retry=False) from exc
        finally:
            if (close := getattr(source, "aclose", None)) is not None:
                await close()

    stream = batches()
    try:
        yield stream
    finally:
        await stream.aclose()


def _unnamed(chunks: list[Chunk], access: Access) -> list[Chunk]:
    """The chunks; in the names and ids of the end, which are shown, logged and kept, no key and nothing unseen."""
    if chunks and isinstance(end := chunks[-1], End):
        words = (end.model, end.id, end.stop_raw)
        model, id_, stop_raw = shown = tuple(word and name(access.redacted(word), NAMED) for word in words)
        note = end.note and access.redacted(end.note)
        if (*shown, note) != (*words, end.note):
            chunks = [*chunks[:-1], replace(end, model=model, id=id_, stop_raw=stop_raw, note=note)]
    return chunks


def _away(error: ProviderError, target: Target, base_url: str) -> ProviderError:
    """The error; where a server on this machine is not running, it says so, and nobody tries again at once."""
    if isinstance(error, Disconnected) and error.code == "connect" and address.on_loopback(base_url):
        error.retry = False
        if target.provider.discover:
            place = urlsplit(base_url).netloc
            error.message = f"{target.provider_id} does not answer at {place}: start it, then ask again"
    return error


def blame(error: ProviderError, target: Target) -> ProviderError:
    """The error with the target's name in it."""
    error.provider = error.provider or target.provider_id
    error.model = error.model or target.model_id
    return error
