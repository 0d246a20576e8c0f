"""Bearer tokens of our own: 256 random bits, shown once, kept as a hash in the state database, each with a name.

The name is the principal: runs, threads and budgets belong to it, so a new token of an old name sees what that one had.
The hash needs neither salt nor stretching, because nobody guesses 256 bits.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from mcp_llm.errors import Conflict, InvalidInput
from mcp_llm.server.principal import LOCAL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mcp_llm.store.sqlite import Store

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TOKEN: Final = re.compile(r"mcpllm_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
"""With a prefix that scanners for leaked keys can know."""
FRESH: Final = 2.0
"""Seconds between looks at the table while known tokens come: how late a revocation is felt."""
SOON: Final = 0.2
"""Seconds between looks while unknown ones do: how late a new token is, and all that guessing costs the database."""
USED_EVERY: Final = 60.0
_COLUMNS: Final = "id, name, tools, created, expires, used"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a token is, and what may be called with it: globs of tools, None for all. Times are epoch milliseconds."""

    id: str
    name: str
    tools: tuple[str, ...] | None
    created: int
    expires: int | None
    used: int | None = None

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= _now()


class Tokens:
    """The tokens of one store; any process may make and revoke them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[bytes, Owner]] = {}
        self._looked = float("-inf")
        self._lock = anyio.Lock()
        self._noted: dict[str, float] = {}

    async def create(
        self, name: str, *, tools: Sequence[str] = (), expires: int | None = None, replace: bool = False
    ) -> str:
        """A new token, which cannot be had again. Raises InvalidInput for a bad name, Conflict for one in use."""
        if not NAME.fullmatch(name) or name == LOCAL:
            raise InvalidInput(
                f"{name[:80]!r} cannot be a token's name: up to 64 letters, digits, dots, dashes, and not {LOCAL!r}"
            )
        identifier = secrets.token_hex(8)
        token = f"mcpllm_{identifier}_{secrets.token_urlsafe(32)}"
        row = (identifier, name, _hash(token).hex(), json.dumps(list(tools)) if tools else None, _now(), expires)

        def work(connection: sqlite3.Connection) -> None:
            if replace:
                connection.execute("DELETE FROM tokens WHERE name = ?", (name,))
            elif connection.execute("SELECT 1 FROM tokens WHERE name = ?", (name,)).fetchone():
                raise Conflict(f"there is a token {name!r}; with --replace the new one takes its place")
            connection.execute(
                "INSERT INTO tokens (id, name, hash, tools, created, expires) VALUES (?, ?, ?, ?, ?, ?)", row
            )

        await self._store.write(work)
        self._store.must_last("no token can be kept")
        return token

    async def revoke(self, name: str) -> None:
        """From now on (two seconds later in running servers) it is refused. Raises InvalidInput for an unknown one."""
        deleted = await self._store.execute("DELETE FROM tokens WHERE name = ?", (name,))
        self._store.must_last("no token can be revoked")
        if not deleted:
            raise InvalidInput(f"there is no token {name[:80]!r}; `mcp-llm token list` shows those there are")

    async def all(self) -> list[Owner]:
        """Every token, the newest first; the expired ones too."""
        rows = await self._store.query(f"SELECT {_COLUMNS} FROM tokens ORDER BY created DESC, name")
        return [_owner(row) for row in rows]

    async def verify(self, token: str) -> Owner | None:
        """Whose it is; None for one that is unknown, revoked or expired. Raises StoreError."""
        found = TOKEN.fullmatch(token)
        if found is None:
            return None
        identifier = found[1]
        await self._look(FRESH if identifier in self._known else SOON)
        kept, owner = self._known.get(identifier, (bytes(32), None))
        if not hmac.compare_digest(kept, _hash(token)) or owner is None or owner.expired:
            return None
        self._note(owner)
        return owner

    async def revoked(self, token: str) -> bool:
        """Whether one that was good is no more in the table, which one is whose time is over. Raises StoreError."""
        await self._look(FRESH)
        found = TOKEN.fullmatch(token)
        return found is None or found[1] not in self._known

    async def _look(self, age: float) -> None:
        """Read the table again if that was longer ago; once, however many wait for it."""
        if time.monotonic() - self._looked <= age:
            return
        async with self._lock:
            if time.monotonic() - self._looked > age:
                rows = await self._store.query(f"SELECT {_COLUMNS}, hash FROM tokens")
                self._known = {row[0]: (bytes.fromhex(row[-1]), _owner(row[:-1])) for row in rows}
                self._noted = {name: when for name, when in self._noted.items() if name in self._known}
                self._looked = time.monotonic()

    def _note(self, owner: Owner) -> None:
        """When it was last used, to the minute."""
        now = time.monotonic()
        if now - self._noted.get(owner.id, -USED_EVERY) >= USED_EVERY:
            self._noted[owner.id] = now
            self._store.post(_used, (_now(), owner.id))


def _used(connection: sqlite3.Connection, rows: list[Any]) -> None:
    connection.executemany("UPDATE tokens SET used = ? WHERE id = ?", rows)


def _owner(row: Sequence[Any]) -> Owner:
    identifier, name, tools, created, expires, used = row
    return Owner(identifier, name, tuple(json.loads(tools)) if tools else None, created, expires, used)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _now() -> int:
    return time.time_ns() // 1_000_000
