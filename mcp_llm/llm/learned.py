"""Which parameters which model was seen to refuse, remembered for a month: models change, so it is tried again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import StoreError

if TYPE_CHECKING:
    import sqlite3

    from mcp_llm.store.sqlite import Store

KEPT_SECONDS: Final = 30 * 86_400


def _apply(connection: sqlite3.Connection, rows: list[Any]) -> None:
    connection.executemany(
        "INSERT INTO learned (provider, model, parameter, until) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (provider, model, parameter) DO UPDATE SET until = excluded.until",
        rows,
    )


@dataclass(slots=True)
class Learned:
    """The store's rows, read once a process and model."""

    store: Store
    _known: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    _all: dict[tuple[str, str], set[str]] | None = None

    async def of(self, provider_id: str, model_id: str) -> set[str]:
        """The refused parameters; the set is shared, so what is added shows at once."""
        key = (provider_id, model_id)
        if (found := self._known.get(key)) is None:
            if self._all is None:
                self._all = await self._read()
            found = self._known[key] = self._all.get(key, set())
        return found

    def add(self, provider_id: str, model_id: str, parameter: str) -> None:
        """Remember one, here and in the store."""
        self._known.setdefault((provider_id, model_id), set()).add(parameter)
        self.store.post(_apply, (provider_id, model_id, parameter, int(time.time()) + KEPT_SECONDS))

    async def _read(self) -> dict[tuple[str, str], set[str]]:
        try:
            rows = await self.store.query(
                "SELECT provider, model, parameter FROM learned WHERE until > ?", (int(time.time()),)
            )
        except StoreError:
            return {}  # knowing less is no reason not to ask
        known: dict[tuple[str, str], set[str]] = {}
        for provider_id, model_id, parameter in rows:
            known.setdefault((provider_id, model_id), set()).add(parameter)
        return known
