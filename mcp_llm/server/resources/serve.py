"""Answers `resources/list`, `resources/templates/list` and `resources/read` from the rooms and from what the SDK has.

Whatever a room does not know, it says in the words it has for what is somebody else's.
"""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from mcp import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    BlobResourceContents,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    TextResourceContents,
)

from mcp_llm.errors import Error, InvalidInput
from mcp_llm.server.principal import current

from . import agents, artifacts, models, runs, usage
from .address import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp.server import MCPServer
    from mcp.types import Resource, ResourceTemplate

    from mcp_llm.app import App
    from mcp_llm.server.life import Life

    from .address import Address, Content

logger = logging.getLogger(__name__)


class Room(Protocol):
    """One scheme; satisfied by a module."""

    SCHEME: str
    TEMPLATES: Sequence[ResourceTemplate]

    async def listed(self, app: App, principal: str) -> list[Resource]:
        """What a list shows this caller, which need not be all."""
        ...

    async def read(self, app: App, principal: str, address: Address) -> Content:
        """One resource; raises InvalidInput for what is not there, or somebody else's."""
        ...

    async def mark(self, app: App, principal: str, address: Address) -> Any:
        """A value that is another one once the resource has changed; None where it never changes. Raises as `read`."""
        ...


ROOMS: Final[dict[str, Room]] = {room.SCHEME: room for room in (runs, models, agents, usage, artifacts)}


def install(server: MCPServer[Life]) -> None:
    """Answer from the rooms first, and leave every other URI to what is registered with the SDK."""
    low = server._lowlevel_server  # lists that differ by caller have no public place
    others = low.get_request_handler("resources/read")
    assert others is not None, "the SDK answers resources/read"

    async def listing(ctx: Any, params: PaginatedRequestParams) -> ListResourcesResult:
        app, principal = ctx.lifespan_context.service, current()
        found = [one for room in ROOMS.values() for one in await room.listed(app, principal)]
        return ListResourcesResult(resources=[*found, *await server.list_resources()])

    async def templates(ctx: Any, params: PaginatedRequestParams) -> ListResourceTemplatesResult:
        found = [one for room in ROOMS.values() for one in room.TEMPLATES]
        return ListResourceTemplatesResult(resource_templates=[*found, *await server.list_resource_templates()])

    async def reading(ctx: Any, params: ReadResourceRequestParams) -> Any:
        address = parse(str(params.uri))
        room = ROOMS.get(address.scheme) if address is not None else None
        if address is None or room is None:
            return await others.handler(ctx, params)
        try:
            content = await room.read(ctx.lifespan_context.service, current(), address)
        except Error as exc:
            raise refused(exc, str(params.uri)) from None
        return _result(str(params.uri), content)

    low.add_request_handler("resources/list", PaginatedRequestParams, listing)
    low.add_request_handler("resources/templates/list", PaginatedRequestParams, templates)
    low.add_request_handler("resources/read", ReadResourceRequestParams, reading)


def refused(error: Error, uri: str) -> MCPError:
    """The protocol's error: the caller's fault where it names what is not there."""
    code = INVALID_PARAMS if isinstance(error, InvalidInput) else INTERNAL_ERROR
    return MCPError(code=code, message=str(error), data={"uri": uri})


def _result(uri: str, content: Content) -> ReadResourceResult:
    meta: dict[str, Any] | None = {"mcp-llm/next": content.following} if content.following else None
    body: TextResourceContents | BlobResourceContents
    if isinstance(content.body, str):
        body = TextResourceContents(uri=uri, text=content.body, mime_type=content.mime, _meta=meta)
    else:
        blob = base64.b64encode(content.body).decode()
        body = BlobResourceContents(uri=uri, blob=blob, mime_type=content.mime, _meta=meta)
    return ReadResourceResult(contents=[body], ttl_ms=content.fresh_ms, cache_scope="private")
