"""Calls begin in turn: a crowd that comes at once is begun a few at a time, so that the others are soon told how it is.

Without, the loop would be so busy beginning a thousand calls that the thousand after them learn of it seconds later.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

WINDOW: Final = 0.01
FREE: Final = 32
"""Calls that begin at once in a window of so many seconds; the others wait for a turn of the loop."""
EACH: Final = 2
"""Calls that begin with each turn of the loop."""
PAUSE: Final = 0.01
"""Seconds for which nobody has come when a crowd is over."""
CALM: Final = 1.0
"""Seconds after which the first of a crowd begin although others still come."""


class Turns:
    """Hands out beginnings; none while others still come and it is `crowded`, because those may have to be refused.

    Of 2,000 calls at once the last of the thousand too many was told after 2 to 6 s without that, with it after 0.4 to
    0.8 s, on a machine with twice as much to do as it can.
    """

    def __init__(self, crowded: Callable[[], bool] = lambda: False) -> None:
        self._crowded = crowded
        self._come = 0
        self._waiting: deque[anyio.Event] = deque()
        self._since = 0.0
        self._begun = 0

    def came(self) -> None:
        """One more has come, be it to be refused."""
        self._come += 1

    async def wait(self, tasks: TaskGroup) -> None:
        """Return when it is one's turn: at once, unless many came just now."""
        self.came()
        now = time.monotonic()
        if now - self._since > WINDOW:
            self._since, self._begun = now, 0
        if self._begun < FREE and not self._waiting:
            self._begun += 1
            return
        turn = anyio.Event()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            tasks.start_soon(self._hand_out)
        await turn.wait()

    async def _hand_out(self) -> None:
        patient = time.monotonic() + CALM
        while self._waiting:
            come = self._come
            await anyio.lowlevel.checkpoint()
            while self._come != come and self._crowded() and time.monotonic() < patient:
                come = self._come
                await anyio.sleep(PAUSE)
            for turn in [self._waiting[index] for index in range(min(EACH, len(self._waiting)))]:
                turn.set()
                self._waiting.popleft()
