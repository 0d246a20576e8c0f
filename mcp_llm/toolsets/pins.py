"""Which tools the user has agreed to: a fingerprint per tool, so that one that changes later is off until looked at.

A server may show harmless tools first and others once it is trusted. The first sight is taken as agreed; it is the
change that is stopped.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from mcp_llm.settings import Server
    from mcp_llm.store.sqlite import Store

_TABLE: Final = """CREATE TABLE IF NOT EXISTS tool_pins (
    server TEXT NOT NULL,
    target TEXT NOT NULL,
    tool TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    offered TEXT,
    pinned INTEGER NOT NULL,
    PRIMARY KEY (server, target, tool)
) WITHOUT ROWID"""


class Pins(Protocol):
    """Where agreed fingerprints are kept."""

    async def changed(self, server: str, target: str, tools: Mapping[str, str]) -> set[str]:
        """Which of these tools (name -> fingerprint) are not what was agreed to; new ones are agreed to now."""

    async def approve(self, server: str, tools: set[str] | None = None) -> int:
        """Agree to the tools as they were last offered (None: all of the server's); how many that were."""


def target(server: Server) -> str:
    """What a configured name stands for. When the user points it elsewhere, agreement starts anew."""
    said: list[Any] = [server.command, list(server.args), server.url]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


class NoPins:
    """Agrees to everything: for tests and one-off use."""

    async def changed(self, server: str, target: str, tools: Mapping[str, str]) -> set[str]:
        """None."""
        return set()

    async def approve(self, server: str, tools: set[str] | None = None) -> int:
        """Nothing to do."""
        return 0


class StoredPins:
    """Fingerprints in the user's state database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def changed(self, server: str, target: str, tools: Mapping[str, str]) -> set[str]:
        """Pins new tools; the others are compared. What is offered instead is kept for `approve`."""
        return await self._store.write(lambda connection: _compare(connection, server, target, tools))

    async def approve(self, server: str, tools: set[str] | None = None) -> int:
        """Make what was last offered the agreed one."""
        return await self._store.write(lambda connection: _approve(connection, server, tools))


def _compare(connection: sqlite3.Connection, server: str, target: str, tools: Mapping[str, str]) -> set[str]:
    connection.execute(_TABLE)
    rows = connection.execute(
        "SELECT tool, fingerprint, offered FROM tool_pins WHERE server = ? AND target = ?", (server, target)
    )
    pinned = {tool: (agreed, offered) for tool, agreed, offered in rows}
    now = int(time.time() * 1000)
    changed: set[str] = set()
    for tool, offered in tools.items():
        if tool not in pinned:
            connection.execute(
                "INSERT INTO tool_pins VALUES (?, ?, ?, ?, NULL, ?)", (server, target, tool, offered, now)
            )
            continue
        agreed, before = pinned[tool]
        latest = None if offered == agreed else offered
        if latest is not None:
            changed.add(tool)
        if latest != before:
            connection.execute(
                "UPDATE tool_pins SET offered = ? WHERE server = ? AND target = ? AND tool = ?",
                (latest, server, target, tool),
            )
    return changed


def _approve(connection: sqlite3.Connection, server: str, tools: set[str] | None) -> int:
    connection.execute(_TABLE)
    waiting = connection.execute(
        "SELECT target, tool FROM tool_pins WHERE server = ? AND offered IS NOT NULL", (server,)
    ).fetchall()
    chosen = [(target, tool) for target, tool in waiting if tools is None or tool in tools]
    for target, tool in chosen:
        connection.execute(
            "UPDATE tool_pins SET fingerprint = offered, offered = NULL, pinned = ? "
            "WHERE server = ? AND target = ? AND tool = ?",
            (int(time.time() * 1000), server, target, tool),
        )
    return len(chosen)
