"""Conversations that outlive the call and the process: messages by thread id, append-only, bound to their owner."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from pydantic_core import PydanticSerializationError

from mcp_llm.errors import InvalidInput
from mcp_llm.types.message import Message
from mcp_llm.types.text import unbroken

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mcp_llm.store.sqlite import Store

NEW: Final = "new"


@dataclass(slots=True)
class Threads:
    """Reads and grows threads. A thread of somebody else's is as unknown as one that never was."""

    store: Store

    async def open(self, thread: str | None, principal: str) -> tuple[str | None, list[Message]]:
        """(id, messages so far): a fresh id for `"new"`, (None, []) for no thread. Raises InvalidInput if unknown."""
        if thread is None:
            return None, []
        if thread == NEW:
            return uuid4().hex, []
        rows = await self.store.query(
            "SELECT message FROM thread_messages JOIN threads ON threads.id = thread "
            "WHERE thread = ? AND principal = ? ORDER BY seq",
            (thread, principal),
        )
        if not rows:
            raise InvalidInput(f'there is no thread {thread[:80]!r}; start one with thread="new"')
        return thread, [Message.model_validate_json(row[0]) for row in rows]

    async def append(self, thread: str, principal: str, messages: Sequence[Message]) -> None:
        """Add messages at the end, durable when this returns."""
        now = time.time_ns() // 1_000_000
        texts = [_text(message) for message in messages]

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO threads (id, principal, created, updated) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET updated = excluded.updated",
                (thread, principal, now, now),
            )
            last = connection.execute("SELECT coalesce(max(seq), -1) FROM thread_messages WHERE thread = ?", (thread,))
            first = int(last.fetchone()[0]) + 1
            connection.executemany(
                "INSERT INTO thread_messages (thread, seq, ts, message) VALUES (?, ?, ?, ?)",
                [(thread, first + index, now, text) for index, text in enumerate(texts)],
            )

        await self.store.write(work)


def _text(message: Message) -> str:
    """As JSON; a lone surrogate, which a caller's string may hold and UTF-8 cannot, becomes U+FFFD."""
    try:
        return message.model_dump_json(exclude_none=True)
    except PydanticSerializationError:
        text = json.dumps(message.model_dump(exclude_none=True), ensure_ascii=False)
        return unbroken(text)
