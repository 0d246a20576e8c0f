"""A transport that signs in: the SDK's OAuth flow, run where every failure can become the error of one request.

What the flow asks on its way stays within bounds: TLS for everything but this machine, and nothing on this machine for
a server that is not on it, so that a server cannot send us knocking at doors it cannot reach itself.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import httpx2
from mcp.client.auth import OAuthFlowError
from pydantic import ValidationError

from mcp_llm.errors import ToolFailed

from . import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.client.auth import OAuthClientProvider


class Signed(httpx2.AsyncBaseTransport):
    """Sends a request with the token there is, gets one where the server wants it, and sends it again, once."""

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        provider: OAuthClientProvider,
        told: Callable[[httpx2.Request, str], httpx2.Response],
    ) -> None:
        self._inner, self._provider, self._told = inner, provider, told

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to the request; an answer of our own where signing in failed."""
        flow = self._provider.async_auth_flow(request)
        try:
            response = await self._run(flow, request)
        except (OAuthFlowError, ToolFailed) as error:
            return self._told(request, f"signing in failed: {text.line(str(error), 300)}")
        except (ValidationError, httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
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

    async def _run(self, flow: Any, request: httpx2.Request) -> httpx2.Response:
        outgoing = await anext(flow)
        while True:
            if outgoing is not request:
                self._judge(outgoing, request)
            response = await self._inner.handle_async_request(outgoing)
            response.request = outgoing
            if outgoing is not request or response.status_code in {401, 403}:
                await response.aread()  # the flow looks into it; an answer to the request itself may be a stream
            try:
                outgoing = await flow.asend(response)
            except StopAsyncIteration:
                return response
            await response.aclose()

    def _judge(self, outgoing: httpx2.Request, request: httpx2.Request) -> None:
        here, there = is_loopback(request.url.host), is_loopback(outgoing.url.host)
        if there and not here:
            raise ToolFailed("it wants us to sign in at an address on this machine")
        if outgoing.url.scheme != "https" and not there:
            raise ToolFailed("it wants us to sign in without TLS")
        if there and outgoing.url.scheme not in {"http", "https"}:
            raise ToolFailed("it wants us to sign in at something that is no http(s) URL")

    async def aclose(self) -> None:
        """Close what is below."""
        await self._inner.aclose()


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or number."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
