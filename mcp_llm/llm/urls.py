"""The bytes that a provider's answer only points to: fetched from the open internet, without a key, up to a cap.

The origin that the provider's base URL names is asked as well: a server on this machine keeps its pictures there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_llm.errors import Garbled

if TYPE_CHECKING:
    from mcp_llm.catalog.find import Target

    from .service import Service

SECONDS: float = 300.0


async def data(service: Service, given: bytes | None, url: str | None, target: Target, most: int) -> bytes:
    """The bytes, at most `most`. Raises Denied, TooLarge and the errors of the transport; the provider is named."""
    if given is not None:
        return given
    if url is None:
        raise Garbled("neither bytes nor a URL came", provider=target.provider_id)
    from mcp_llm.http.fetch import whole

    parts = urlsplit(service.access.target_url(target))
    deadlines = service.llm.deadlines(target, SECONDS)
    found, _ = await whole(
        service.llm.transport(), url, most=most, trusted=f"{parts.scheme}://{parts.netloc}", deadlines=deadlines
    )
    return found
