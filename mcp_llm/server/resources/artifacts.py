"""`artifacts://`: made media by the hash of their bytes; each caller sees the ones made for it."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from mcp.types import Annotations, Resource, ResourceTemplate

from mcp_llm.errors import InvalidInput, TooLarge

from .address import FRESH_MS, Content

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.store.artifacts import Artifact

    from .address import Address

SCHEME: Final = "artifacts"
LISTED: Final = 50
MOST: Final = 32 * 1024 * 1024
"""Bytes of one reply: base64 and JSON make some 50 MB of it."""
_TEXTS: Final = frozenset({"application/json", "image/svg+xml"})

TEMPLATES: Final = (
    ResourceTemplate(
        uri_template="artifacts://{sha256}",
        name="artifact",
        title="A made file",
        description="A picture, sound, film or text that a model made, by the hash in the result.",
    ),
)


async def listed(app: App, principal: str) -> list[Resource]:
    """The newest, with their sizes."""
    found = await to_thread.run_sync(partial(app.artifacts.all, principal=principal, limit=LISTED))
    annotations = Annotations(audience=["user"], priority=0.5)
    return [
        Resource(
            uri=one.uri,
            name=one.name,
            title=one.name,
            mime_type=one.mime,
            size=one.size,
            annotations=annotations,
        )
        for one in found
    ]


async def read(app: App, principal: str, address: Address) -> Content:
    """The bytes, as text where they are text. Raises InvalidInput for one that is unknown or somebody else's."""
    address.only()
    if not address.path:
        found = await to_thread.run_sync(partial(app.artifacts.all, principal=principal, limit=LISTED))
        rows = [asdict(one) | {"uri": one.uri} for one in found]
        return Content(json.dumps({"artifacts": rows}, ensure_ascii=False))
    return await to_thread.run_sync(_read, app, principal, address.path)


def _read(app: App, principal: str, sha256: str) -> Content:
    known: Artifact | None = app.artifacts.get(sha256, principal=principal)
    if known is None:
        raise InvalidInput(f"there is no artifact {sha256[:80]!r}; its hash is in the result that made it")
    if known.size > MOST:
        raise TooLarge(
            f"{known.name} has {known.size:,} bytes, a reply holds {MOST:,}: "
            f"open {app.artifacts.path(known).name} in the artifacts folder of MCP_LLM_HOME"
        )
    with app.artifacts.open(sha256, principal=principal) as file:
        data = file.read()
    if known.mime in _TEXTS or known.mime.startswith("text/"):
        try:
            return Content(data.decode(), known.mime, FRESH_MS)
        except UnicodeDecodeError:  # it only says that it is text
            return Content(data, known.mime, FRESH_MS)
    return Content(data, known.mime, FRESH_MS)


async def mark(app: App, principal: str, address: Address) -> Any:
    """Nothing: what a hash names never changes."""
    return None
