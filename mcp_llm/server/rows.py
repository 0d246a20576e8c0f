"""A run as one row of a list, for the tool and the resource that list them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp_llm.runs.store import RunInfo


def row(info: RunInfo) -> dict[str, Any]:
    """One line of the list."""
    said = info.result.get("response") or info.result.get("error") or info.request.get("prompt") or ""
    if not said and isinstance(arguments := info.request.get("arguments"), dict):
        said = arguments.get("prompt") or ""
    found = {
        "run_id": info.id,
        "status": info.status,
        "kind": info.kind,
        "model": info.model,
        "age": age(info.created),
        "says": " ".join(str(said).split())[:80],
        "parent": info.parent,
    }
    return {key: value for key, value in found.items() if value}


def age(since_ms: int) -> str:
    """How long ago, in the largest whole unit."""
    seconds = max(0, time.time_ns() // 1_000_000 - since_ms) // 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
