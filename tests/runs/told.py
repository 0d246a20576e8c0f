"""How the tests look at a run's events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.types.events import (
    TextEvent,
)

if TYPE_CHECKING:
    from mcp_llm.runs.store import RunStore


async def told(runs: RunStore, run_id: str) -> list[tuple[int, str, str | None]]:
    return [
        (event.seq, event.event, event.text if isinstance(event, TextEvent) else None)
        for event in await runs.events(run_id)
    ]
