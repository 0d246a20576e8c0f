"""Which hosts have called this installation, with what version and protocol: for `doctor`, and never sent anywhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mcp.server.mcpserver import Context

    from mcp_llm.store.sqlite import Store

MOST: Final = 200
"""Characters kept of what a host says of itself."""


@dataclass(frozen=True, slots=True)
class SeenClient:
    """A host as it named itself; `seen` is the epoch millisecond of its last call."""

    name: str
    version: str
    protocol: str
    seen: int


def _apply(connection: sqlite3.Connection, rows: Sequence[Any]) -> None:
    connection.executemany(
        "INSERT INTO clients (name, version, protocol, seen) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
        "SET version = excluded.version, protocol = excluded.protocol, seen = excluded.seen",
        rows,
    )


def remember(store: Store, context: Context[Any]) -> None:
    """Note who calls; posted, so it costs the call nothing."""
    params = context.session.client_params
    if params is not None:
        info = params.client_info
        words = (info.name[:MOST], (info.version or "")[:MOST], str(context.protocol_version)[:MOST])
        store.post(_apply, (*words, time.time_ns() // 1_000_000))


async def seen(store: Store) -> list[SeenClient]:
    """The hosts that called, the latest first; empty when the store cannot be read."""
    try:
        rows = await store.query("SELECT name, version, protocol, seen FROM clients ORDER BY seen DESC LIMIT 20")
    except StoreError:
        return []
    return [SeenClient(*row) for row in rows]
