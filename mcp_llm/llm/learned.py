"""Which parameters which model was seen to refuse, remembered for a month: models change, so it is tried again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection

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
    """The store's rows, read once a process. A model that refuses nothing leaves nothing: anybody may name any.

    `clock` gives seconds since the epoch.
    """

    store: Store
    clock: Callable[[], float] = time.time
    _known: dict[tuple[str, str], dict[str, int]] | None = None

    async def of(self, provider_id: str, model_id: str) -> Collection[str]:
        """The refused parameters."""
        if self._known is None:
            read = await self._read()
            if self._known is None:  # else another call has read them meanwhile, and may have added some
                self._known = read
        refused = self._known.get((provider_id, model_id))
        if not refused:
            return ()
        now = self.clock()
        return [parameter for parameter, until in refused.items() if until > now]

    def add(self, provider_id: str, model_id: str, parameter: str) -> None:
        """Remember one, here and in the store."""
        until = int(self.clock()) + KEPT_SECONDS
        if self._known is not None:
            self._known.setdefault((provider_id, model_id), {})[parameter] = until
        self.store.post(_apply, (provider_id, model_id, parameter, until))

    async def _read(self) -> dict[tuple[str, str], dict[str, int]]:
        try:
            rows = await self.store.query(
                "SELECT provider, model, parameter, until FROM learned WHERE until > ?", (int(self.clock()),)
            )
        except StoreError:
            return {}  # knowing less is no reason not to ask
        known: dict[tuple[str, str], dict[str, int]] = {}
        for provider_id, model_id, parameter, until in rows:
            known.setdefault((provider_id, model_id), {})[parameter] = until
        return known
