"""Which hosts have called this installation, and what they showed of themselves: for `doctor`, never sent anywhere."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mcp.server.mcpserver import Context

    from mcp_llm.app import App
    from mcp_llm.store.sqlite import Store

MOST: Final = 200
"""Characters kept of what a host says of itself."""
MOST_NAMES: Final = 50
KEPT: Final = 200
"""Hosts that are remembered, the latest; a caller may give itself any number of names."""


@dataclass(frozen=True, slots=True)
class SeenClient:
    """A host as it named itself; `seen` is the epoch millisecond of its last first call of a process.

    `declares` are the capabilities it offered, `progress` whether it asked for progress, `variables` the names of the
    keys that it let the server see, `http` whether it came over HTTP; None where that was not written down.
    """

    name: str
    version: str
    protocol: str
    seen: int
    declares: tuple[str, ...] | None = None
    progress: bool | None = None
    variables: tuple[str, ...] | None = None
    http: bool | None = None


def _apply(connection: sqlite3.Connection, rows: Sequence[Any]) -> None:
    connection.executemany(
        "INSERT INTO clients (name, version, protocol, seen, details) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) "
        "DO UPDATE SET version = excluded.version, protocol = excluded.protocol, seen = excluded.seen, "
        "details = excluded.details",
        rows,
    )
    connection.execute(
        "DELETE FROM clients WHERE name NOT IN (SELECT name FROM clients ORDER BY seen DESC LIMIT ?)", (KEPT,)
    )


def remember(app: App, context: Context[Any]) -> None:
    """Note who calls; posted, so it costs the call nothing."""
    params = context.session.client_params
    if params is None:
        return
    info = params.client_info
    words = (info.name[:MOST], (info.version or "")[:MOST], str(context.protocol_version)[:MOST])
    meta: Any = context.request_context.meta or {}
    http = context.headers is not None
    details = {
        "declares": _declared(params.capabilities.model_dump(exclude_none=True, by_alias=True)),
        "progress": meta.get("progress_token") is not None,
        # Over HTTP the server's environment is its operator's, and says nothing of the client.
        "variables": None if http else app.config.key_names()[:MOST_NAMES],
        "http": http,
    }
    app.store.post(_apply, (*words, time.time_ns() // 1_000_000, json.dumps(details)))


def _declared(capabilities: dict[str, Any]) -> list[str]:
    """The names of what was declared; extensions by their own names."""
    extensions = capabilities.pop("extensions", None) or {}
    capabilities.pop("experimental", None)
    return sorted(str(name)[:MOST] for name in [*capabilities, *extensions])[:MOST_NAMES]


async def seen(store: Store) -> list[SeenClient]:
    """The hosts that called, the latest first; empty when the store cannot be read."""
    try:
        rows = await store.query(
            "SELECT name, version, protocol, seen, details FROM clients ORDER BY seen DESC LIMIT 20"
        )
    except StoreError:
        return []
    return [_seen(*row) for row in rows]


def _seen(name: str, version: str, protocol: str, at: int, details: str) -> SeenClient:
    told = json.loads(details)
    declares, variables = told.get("declares"), told.get("variables")
    return SeenClient(
        name,
        version,
        protocol,
        at,
        declares=None if declares is None else tuple(declares),
        progress=told.get("progress"),
        variables=None if variables is None else tuple(variables),
        http=told.get("http"),
    )
