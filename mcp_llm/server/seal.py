"""The key that seals what a client carries back to us between two rounds, shared by all processes of one home.

A round may then be answered by another process than the one that asked, and after a restart. It is kept in the state
database, so whoever can read that can forge a round; nothing else is derived from it.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any

from mcp.server.request_state import AESGCMRequestStateCodec, RequestStateSecurity

from mcp_llm.errors import Error

if TYPE_CHECKING:
    import sqlite3

    from mcp_llm.store.sqlite import Store

NAME = "request_state"


class Seal:
    """A codec whose key comes with the store: one of this process alone until then."""

    def __init__(self) -> None:
        self._own = secrets.token_bytes(32)
        self._codec = AESGCMRequestStateCodec([self._own])
        self._shared = False

    def security(self) -> RequestStateSecurity:
        """For the server that is built before there is a store."""
        return RequestStateSecurity(codec=self)

    async def share(self, store: Store) -> None:
        """Take the key of this store, once; the first process makes it. What was sealed before is still opened."""
        if not self._shared:
            self._codec, self._shared = AESGCMRequestStateCodec([await store.write(_key), self._own]), True

    async def __call__(self, ctx: Any, call_next: Any) -> Any:
        """Middleware before the SDK's own: the key is there when a call comes that carries something sealed.

        Only then, because it opens the database, which a server that starts does not.
        """
        if ctx.method == "tools/call" and (ctx.params or {}).get("requestState") is not None:
            with contextlib.suppress(Error):  # without the database a round of another process is none of ours
                await self.share(ctx.lifespan_context.service.store)
        return await call_next(ctx)

    def seal(self, payload: bytes) -> str:
        """As the SDK's own codec does."""
        return self._codec.seal(payload)

    def unseal(self, token: str) -> bytes:
        """As the SDK's own codec does; raises InvalidRequestState."""
        return self._codec.unseal(token)


def _key(connection: sqlite3.Connection) -> bytes:
    row: Any = (NAME, secrets.token_bytes(32), time.time_ns() // 1_000_000)
    connection.execute("INSERT INTO secrets (name, value, created) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING", row)
    return bytes(connection.execute("SELECT value FROM secrets WHERE name = ?", (NAME,)).fetchone()[0])
