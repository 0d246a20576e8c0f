"""Which tools the user has agreed to: a fingerprint per tool, so that one that changes later is off until looked at.

A server may show harmless tools first and others once it is trusted. The first sight is taken as agreed; it is the
change that is stopped. What each fingerprint stood for is kept, so that a person can be shown what changed.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any, Final, Protocol

from . import text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

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
_SAID: Final = """CREATE TABLE IF NOT EXISTS tool_definitions (
    fingerprint TEXT PRIMARY KEY,
    said TEXT NOT NULL
) WITHOUT ROWID"""
_PINS: Final = """SELECT tool, tool_pins.fingerprint, agreed.said, offered, other.said, pinned FROM tool_pins
    LEFT JOIN tool_definitions AS agreed ON agreed.fingerprint = tool_pins.fingerprint
    LEFT JOIN tool_definitions AS other ON other.fingerprint = offered
    WHERE server = ? AND target = ? ORDER BY tool"""

_PRUNED: Final = """DELETE FROM tool_definitions WHERE fingerprint NOT IN (
    SELECT fingerprint FROM tool_pins UNION SELECT offered FROM tool_pins WHERE offered IS NOT NULL
)"""


MOST_PINS: Final = 2048
"""Of one server: four times as many as it may offer at once. Those it offers no more make room, the oldest first."""
NEVER: Final = ""
"""The fingerprint of what nobody has agreed to."""
_CHANGED: Final = ("Changed since they were agreed to", "what changed")
_UNKNOWN: Final = (f"Never agreed to, as {MOST_PINS} tools of this server are known already", "what they say")
OFF: Final = (_CHANGED[0], _UNKNOWN[0])
"""How what `told` says begins."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A tool that was agreed to (or NEVER was) at `pinned`, epoch ms. `offered`: the fingerprint of what it is instead.

    `agreed_said` and `offered_said` are what they said of themselves, as `Tool.said` gives it; None: it was not kept.
    """

    tool: str
    agreed: str
    agreed_said: str | None
    offered: str | None
    offered_said: str | None
    pinned: int

    @property
    def known(self) -> bool:
        """Whether it was ever agreed to."""
        return self.agreed != NEVER


class Pins(Protocol):
    """Where agreed fingerprints are kept."""

    async def changed(
        self, server: str, target: str, tools: Mapping[str, str], said: Callable[[str], str] | None = None
    ) -> dict[str, str]:
        """Which of these tools (name -> fingerprint) are not what was agreed to, each with what was: NEVER for nothing.

        New ones are agreed to now, up to MOST_PINS of a server. `said` gives what the tool of a name says of itself;
        it is asked only for what is not kept yet.
        """


def target(server: Server) -> str:
    """What a configured name stands for. When the user points it elsewhere, agreement starts anew."""
    said: list[Any] = [server.command, list(server.args), server.url]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


class NoPins:
    """Agrees to everything: for tests and one-off use."""

    async def changed(
        self, server: str, target: str, tools: Mapping[str, str], said: Callable[[str], str] | None = None
    ) -> dict[str, str]:
        """None."""
        return {}


class StoredPins:
    """Fingerprints in the user's state database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def changed(
        self, server: str, target: str, tools: Mapping[str, str], said: Callable[[str], str] | None = None
    ) -> dict[str, str]:
        """Pins new tools; the others are compared. What is offered instead is kept for `approve`."""

        def work(connection: sqlite3.Connection) -> dict[str, str]:
            found = _compare(connection, server, target, tools)
            if said is not None:
                _keep(connection, tools, said)
            return found

        return await self._store.write(work)

    async def of(self, server: str, target: str) -> list[Pin]:
        """What was agreed to of a server, by name."""

        def work(connection: sqlite3.Connection) -> list[Pin]:
            _made(connection)
            return [Pin(*row) for row in connection.execute(_PINS, (server, target))]

        return await self._store.write(work)

    async def approve(self, server: str, target: str, offered: Mapping[str, str]) -> list[str]:
        """Agree to these tools (name -> fingerprint) as they were shown; those that were not changed once more."""
        return await self._store.write(lambda connection: _approve(connection, server, target, offered))


def told(server: str, off: Mapping[str, str]) -> list[str]:
    """The sentences for a user whose tools are off (as `changed` gives them), with the command that turns them on."""
    found = []
    for never, why, what in ((False, *_CHANGED), (True, *_UNKNOWN)):
        if tools := sorted(tool for tool, agreed in off.items() if (agreed == NEVER) is never):
            names = ", ".join(text.line(tool, 60) for tool in tools)
            found.append(
                f"{why}, and off: {names}. `mcp-llm servers check {quote(server)}` shows {what}, "
                f"`mcp-llm servers approve {quote(server)}` agrees to it."
            )
    return found


def _made(connection: sqlite3.Connection) -> None:
    connection.execute(_TABLE)
    connection.execute(_SAID)


def _keep(connection: sqlite3.Connection, tools: Mapping[str, str], said: Callable[[str], str]) -> None:
    """What these say is kept, and what no pin stands for any more goes: some servers say the day in a description."""
    new = False
    for name, mark in tools.items():
        if connection.execute("SELECT 1 FROM tool_definitions WHERE fingerprint = ?", (mark,)).fetchone() is None:
            connection.execute("INSERT INTO tool_definitions VALUES (?, ?)", (mark, said(name)))
            new = True
    if new:
        connection.execute(_PRUNED)


def _compare(connection: sqlite3.Connection, server: str, target: str, tools: Mapping[str, str]) -> dict[str, str]:
    _made(connection)
    rows = connection.execute(
        "SELECT tool, fingerprint, offered FROM tool_pins WHERE server = ? AND target = ? ORDER BY pinned",
        (server, target),
    )
    pinned = {tool: (agreed, offered) for tool, agreed, offered in rows}
    now = int(time.time() * 1000)
    changed: dict[str, str] = {}
    room = MOST_PINS - len(pinned)
    new = [tool for tool in tools if tool not in pinned]
    gone = [tool for tool in pinned if tool not in tools][: max(len(new) - room, 0)]
    connection.executemany(
        "DELETE FROM tool_pins WHERE server = ? AND target = ? AND tool = ?", [(server, target, tool) for tool in gone]
    )
    for number, tool in enumerate(new):
        # Beyond the cap nothing is agreed to at first sight: what was forgotten could come back as something else.
        agreed, other = (tools[tool], None) if number < room else (NEVER, tools[tool])
        connection.execute(
            "INSERT INTO tool_pins VALUES (?, ?, ?, ?, ?, ?)", (server, target, tool, agreed, other, now)
        )
        if other is not None:
            changed[tool] = agreed
    for tool, offered in tools.items():
        if tool not in pinned:
            continue
        agreed, before = pinned[tool]
        latest = None if offered == agreed else offered
        if latest is not None:
            changed[tool] = agreed
        if latest != before:
            connection.execute(
                "UPDATE tool_pins SET offered = ? WHERE server = ? AND target = ? AND tool = ?",
                (latest, server, target, tool),
            )
    return changed


def _approve(connection: sqlite3.Connection, server: str, target: str, offered: Mapping[str, str]) -> list[str]:
    _made(connection)
    now = int(time.time() * 1000)
    return [
        tool
        for tool, mark in offered.items()
        if connection.execute(
            "UPDATE tool_pins SET fingerprint = offered, offered = NULL, pinned = ? "
            "WHERE server = ? AND target = ? AND tool = ? AND offered = ?",
            (now, server, target, tool, mark),
        ).rowcount
    ]
