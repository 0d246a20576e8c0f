"""What a run has said, in words: of every kind the same, for whoever reads it page by page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .store import RunInfo, RunStore


async def said(runs: RunStore, info: RunInfo) -> str:
    """What a run has said: its answer, or the words so far, or why it failed."""
    if not info.result:
        return await runs.partial(info.id)
    for name in ("response", "partial", "error"):
        if isinstance(text := info.result.get(name), str) and text:
            return text
    return json.dumps(info.result, ensure_ascii=False, indent=1)
