"""What is kept of a call: who asked which model when, how it ended, and the result or the part that had arrived.

Rows are posted, not awaited: they are on disk within about 50 ms. The journal of longer runs builds on the same tables.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Error
from mcp_llm.redactor import Redactor

if TYPE_CHECKING:
    import sqlite3

    from mcp_llm.store.sqlite import Store
    from mcp_llm.types.result import Generated

GONE: Final = "cancelled: whoever asked for it has gone"
_INSERT = (
    "INSERT INTO runs (id, kind, principal, status, created, updated, model, result, request, parent) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (id) DO UPDATE SET status = excluded.status, updated = excluded.updated, result = excluded.result "
    "WHERE fence = 0"  # a run with a journal is ended by whoever holds its lease
)


def _apply(connection: sqlite3.Connection, rows: list[Any]) -> None:
    connection.executemany(_INSERT, rows)


@dataclass(slots=True)
class Runs:
    """Keeps runs; `kind` is the operation's name, `parent` the run that it is a part of."""

    store: Store
    redactor: Redactor = field(default_factory=Redactor)

    def finished(
        self, kind: str, principal: str, started_ms: int, result: Generated, parent: str | None = None
    ) -> None:
        """Keep a whole result."""
        data = result.model_dump_json(exclude_none=True)
        self._post(result.run_id, kind, principal, "finished", started_ms, result.model, data, parent=parent)

    def kept(
        self,
        run_id: str,
        kind: str,
        principal: str,
        started_ms: int,
        model: str | None,
        data: str,
        request: dict[str, Any] | None = None,
        parent: str | None = None,
    ) -> None:
        """Keep the result of another operation, as JSON; its `response` is what `runs://` gives page by page.

        `request` is what was asked, for whoever looks at the run later.
        """
        asked = None if request is None else json.dumps(request)
        self._post(run_id, kind, principal, "finished", started_ms, model, data, asked, parent)

    def failed(
        self,
        run_id: str,
        kind: str,
        principal: str,
        started_ms: int,
        model: str | None,
        error: BaseException,
        partial: str = "",
        parent: str | None = None,
    ) -> None:
        """Keep why it failed and what had arrived; what is no Exception means that it was cancelled.

        Of errors that are not ours only the type is kept: their text may hold a key, or the event loop's inside.
        """
        status, why = "failed", str(error)[:2000]
        if not isinstance(error, Exception):
            status, why = "cancelled", GONE
        elif not isinstance(error, Error):
            why = f"mcp-llm itself failed ({type(error).__name__})"
        data: dict[str, Any] = {"error": why, "kind": getattr(error, "kind", "error" if status == "failed" else status)}
        if arrived := partial or getattr(error, "partial", None):
            data["partial"] = arrived
        self._post(
            run_id, kind, principal, status, started_ms, model, json.dumps(data, ensure_ascii=False), parent=parent
        )

    def _post(
        self,
        run_id: str,
        kind: str,
        principal: str,
        status: str,
        started: int,
        model: str | None,
        data: str,
        request: str | None = None,
        parent: str | None = None,
    ) -> None:
        now = time.time_ns() // 1_000_000
        told = self.redactor(data)
        self.store.post(_apply, (run_id, kind, principal, status, started, now, model, told, request, parent))

    async def result(self, run_id: str, principal: str) -> dict[str, Any] | None:
        """A kept run as `{id, kind, status, created, updated, model, result}`, or None."""
        rows = await self.store.query(
            "SELECT id, kind, status, created, updated, model, result FROM runs WHERE id = ? AND principal = ?",
            (run_id, principal),
        )
        if not rows:
            return None
        names = ("id", "kind", "status", "created", "updated", "model", "result")
        found = dict(zip(names, rows[0], strict=True))
        found["result"] = json.loads(found["result"]) if found["result"] else None
        return found
