"""Seats of clients older than 2026-07-28, whose sessions stay in memory until they end: so many for each principal.

The SDK keeps the cap of all together. Without one of its own, whoever may call could take every seat of the others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AsyncExitStack


@dataclass(slots=True, eq=False)
class Seat:
    """One, taken by a request that may open a session; `keep` ties it to that session's end."""

    taken: Counter[str]
    principal: str
    kept: bool = False

    def keep(self, connection: AsyncExitStack) -> None:
        """The session is open: the seat is free when its connection ends, however it does."""
        if not self.kept:
            self.kept = True
            connection.callback(self._free)

    def leave(self) -> None:
        """The request is over; without a session the seat is free."""
        if not self.kept:
            self._free()

    def _free(self) -> None:
        self.taken[self.principal] -= 1
        if not self.taken[self.principal]:
            del self.taken[self.principal]


class Seats:
    """Those of one process."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, principal: str, most: int) -> Seat | None:
        """A seat, or None where the principal has as many as it may."""
        if self._taken[principal] >= most:
            return None
        self._taken[principal] += 1
        return Seat(self._taken, principal)
