"""Event-loop stall under each way in which a child MCP server can misbehave.

The longest that the loop of a real toolset was busy between two beats 10 ms apart, in CPU time of its thread (a busy
machine counts less), for every mode of `faults/child.py`, over stdio and over HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goals.children import children
from goals.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST = 40
"""Cases that the goal names."""


def measure(full: bool) -> Iterator[Figure]:
    """The worst of all, and how many they were."""
    found = children(full)
    worst = max(found, key=lambda child: child.stall)
    yield Figure("longest stall of the event loop", worst.stall, "ms", 250, note=worst.name)
    yield Figure("ways to misbehave", len(found), "", LEAST, least=True)
