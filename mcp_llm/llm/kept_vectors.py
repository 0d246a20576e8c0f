"""Vectors of a call that failed on the way, kept as an artifact so that nobody pays for them twice."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from mcp_llm.errors import InvalidInput
from mcp_llm.types.embed import numbers

if TYPE_CHECKING:
    from mcp_llm.types.embed import Vector

    from .service import Service

MIME: Final = "application/json"


async def save(service: Service, vectors: dict[int, Vector], key: str, principal: str) -> str:
    """The hash under which they are found again."""

    def work() -> str:
        rows = [[index, one.typecode, base64.b64encode(one.tobytes()).decode()] for index, one in vectors.items()]
        data = json.dumps({"key": _digest(key), "vectors": rows}).encode()
        return service.artifacts.put(data, MIME, name="unfinished-embeddings.json", principal=principal).sha256

    return await anyio.to_thread.run_sync(work)


async def load(service: Service, sha256: str, key: str, principal: str) -> dict[int, Vector]:
    """The vectors by index. Raises InvalidInput for what are none, or those of another call."""

    def work() -> dict[int, Vector]:
        with service.artifacts.open(sha256, principal=principal) as file:
            data = json.loads(file.read())
        if data["key"] != _digest(key):
            raise InvalidInput("`continue_from` is of a call with other texts, another model or other arguments")
        return {index: numbers(base64.b64decode(packed), code) for index, code, packed in data["vectors"]}

    try:
        return await anyio.to_thread.run_sync(work)
    except (ValueError, KeyError, TypeError):
        raise InvalidInput("`continue_from` names no unfinished embeddings; the error that ended them does") from None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
