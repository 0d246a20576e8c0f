"""How often a principal may call in a minute; counted in this process, while what a day may cost is the ledger's."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

MINUTE: Final = 60.0


class Rates:
    """Calls of the last minute by principal; forgotten once it is over."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[float]] = {}

    def take(self, principal: str, limit: int) -> float:
        """Count a call: 0. Where that would be more than `limit` in a minute: the seconds until there is room."""
        now = time.monotonic()
        calls = self._calls.setdefault(principal, deque())
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        if len(calls) >= limit:
            return calls[len(calls) - limit] + MINUTE - now
        calls.append(now)
        if len(self._calls) > 1000:
            self._calls = {name: times for name, times in self._calls.items() if times and times[-1] > now - MINUTE}
        return 0.0
