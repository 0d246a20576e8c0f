"""A transport that signs in: the SDK's OAuth flow, run where every failure can become the error of one request.

What the flow asks on its way stays within bounds: TLS for everything but this machine, and nothing that is nearer to us
than the server itself - this machine, the network it is in - so that a server cannot send us knocking at doors which it
cannot reach. Names are looked up for that, and what a connection leads to is looked at before anything is said on it.
"""

from __future__ import annotations

import ipaddress
import json
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx2
from mcp.client.auth import OAuthFlowError
from pydantic import ValidationError

from mcp_llm.catalog.address import is_loopback, is_public
from mcp_llm.errors import ToolFailed
from mcp_llm.redactor import Redactor

from . import text
from .oauth import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.client.auth import OAuthClientProvider


LOOK_SECONDS: Final = 5.0
"""For a name's addresses."""
NEARER: Final = "it is on the internet and wants us to sign in at an address of our own network"


class Signed(httpx2.AsyncBaseTransport):
    """Sends a request with the token there is, gets one where the server wants it, and sends it again, once."""

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        provider: OAuthClientProvider,
        told: Callable[[httpx2.Request, str], httpx2.Response],
        redactor: Redactor | None = None,
    ) -> None:
        self._inner, self._provider, self._told = inner, provider, told
        self._redactor = redactor or Redactor()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to the request; an answer of our own where signing in failed."""
        flow = self._provider.async_auth_flow(request)
        try:
            if (known := await self._with_token(request)) is not None:
                return known
            response = await self._run(flow, request)
        except (OAuthFlowError, ToolFailed) as error:
            return self._told(request, f"signing in failed: {text.line(str(error), 300)}")
        except (ValidationError, httpx2.HTTPError, httpx2.InvalidURL, ValueError, ArithmeticError) as error:
            return self._told(request, f"signing in failed ({type(error).__name__}): its OAuth answers cannot be used")
        finally:
            await flow.aclose()
        if response.status_code in {401, 403}:
            await response.aclose()
            why = "it refuses our token" if response.status_code == 401 else "our token may not do this"
            return self._told(
                request, f"{why} (HTTP {response.status_code}): sign in with `mcp-llm servers login` again"
            )
        return response

    async def _with_token(self, request: httpx2.Request) -> httpx2.Response | None:
        """The answer, where the token there is will do. None: the flow has to look for another.

        The flow holds a lock until an answer begins: one slow call would stop all others, and its own cancelling.
        """
        if not self._provider._initialized or not self._provider.context.is_token_valid():
            return None
        self._provider._add_auth_header(request)
        response = await self._send(request)
        if response.status_code not in {401, 403}:
            return response
        await response.aclose()
        return None

    async def _send(self, outgoing: httpx2.Request) -> httpx2.Response:
        self._redactor.learn_token(outgoing.headers.get("authorization", "").rpartition(" ")[2])
        return await self._inner.handle_async_request(outgoing)

    async def _run(self, flow: Any, request: httpx2.Request) -> httpx2.Response:
        outgoing = await anext(flow)
        while True:
            if outgoing is not request:
                await self._judge(outgoing, request)
            response = await self._send(outgoing)
            response.request = outgoing
            if outgoing is not request or response.status_code in {401, 403}:
                await response.aread()  # the flow looks into it; an answer to the request itself may be a stream
            if outgoing is not request:
                response = _usable(response)
            try:
                outgoing = await flow.asend(response)
            except StopAsyncIteration:
                return response
            await response.aclose()

    async def _judge(self, outgoing: httpx2.Request, request: httpx2.Request) -> None:
        there = is_loopback(outgoing.url.host)
        if there and not is_loopback(request.url.host):
            raise ToolFailed("it wants us to sign in at an address on this machine")
        if outgoing.url.scheme != "https" and not there:
            raise ToolFailed("it wants us to sign in without TLS")
        if there and outgoing.url.scheme not in {"http", "https"}:
            raise ToolFailed("it wants us to sign in at something that is no http(s) URL")
        if outgoing.url.host == request.url.host or await _private(request.url.host):
            return
        if await _private(outgoing.url.host):
            raise ToolFailed(NEARER)
        outgoing.extensions = {**outgoing.extensions, "trace": _met}  # its name may mean something else by then

    async def aclose(self) -> None:
        """Close what is below."""
        await self._inner.aclose()


def _usable(response: httpx2.Response) -> httpx2.Response:
    """A token answer whose `expires_in` the SDK can take: a token that came is not lost for what is said beside it.

    What is no number of seconds, or none that lie ahead, counts as not said: the token is used until it is refused.
    """
    try:
        said = json.loads(response.content)
    except (ValueError, RecursionError):
        return response
    if not isinstance(said, dict) or "access_token" not in said or "expires_in" not in said:
        return response
    lasts = said.pop("expires_in")
    try:
        seconds = 0.0 if isinstance(lasts, bool) else float(lasts)
    except (TypeError, ValueError, OverflowError):
        seconds = 0.0
    if seconds > 0:  # which NaN is not
        said["expires_in"] = ceil(min(seconds, LONGEST))
    return httpx2.Response(
        response.status_code,
        headers={"content-type": "application/json"},
        content=json.dumps(said).encode(),
        request=response.request,
    )


async def _met(event: str, info: dict[str, Any]) -> None:
    """Part with a connection that led into our own network after all, before a word is said on it."""
    if event == "connection.connect_tcp.complete":
        stream = info["return_value"]
        if not is_public(_number(stream.get_extra_info("server_addr")[0])):
            await stream.aclose()
            raise ToolFailed(NEARER)


def _number(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(address.partition("%")[0])


async def _private(host: str) -> bool:
    """Whether any address of this host is one that the internet does not reach; an unknown name has none."""
    plain = host.strip("[]")
    try:
        return not is_public(ipaddress.ip_address(plain))
    except ValueError:
        pass
    try:
        with anyio.fail_after(LOOK_SECONDS):
            found = await anyio.getaddrinfo(plain, None)
    except (OSError, TimeoutError, UnicodeError):
        return False
    return any(not is_public(_number(str(one[4][0]))) for one in found)
