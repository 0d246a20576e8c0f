"""Files that a task names: paths and URLs as they are, and `artifacts://...` of earlier tasks as the bytes they name.

An artifact is read for its owner only; paths are held to the allowed folders where they are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_llm.llm.service import Service

SCHEME: Final = "artifacts://"


async def sources(service: Service, names: Iterable[str], principal: str) -> list[Any]:
    """What `Service.attachments` takes. Raises InvalidInput for an artifact that the owner of the run does not have."""
    return [await source(service, name, principal) for name in names]


async def source(service: Service, name: str, principal: str) -> Any:
    """One of them."""
    if not name.startswith(SCHEME):
        return name

    def read() -> bytes:
        with service.artifacts.open(name.removeprefix(SCHEME), principal=principal) as file:
            return file.read()

    return await anyio.to_thread.run_sync(read)
