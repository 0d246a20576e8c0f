"""Which task may begin now: counts what each still waits for, and hands out what is ready, the most urgent first. Pure.

Every task and every dependency is looked at once, so a run of n tasks costs n log n here, whatever their shape.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .plan import Step

SKIPPED: Final = "skipped"


class Schedule:
    """The state of a run's graph. `take` what may begin, tell with `end` how it ended."""

    def __init__(self, steps: Mapping[str, Step]) -> None:
        self._steps = steps
        self._open = {name: len(step.waits) for name, step in steps.items()}
        self._ended: set[str] = set()
        self._ready: list[tuple[int, int, str]] = []
        for name, count in self._open.items():
            if not count:
                self._push(name)

    @property
    def left(self) -> list[str]:
        """Tasks that have not ended, in the order of the file."""
        return [name for name in self._steps if name not in self._ended]

    def take(self) -> str | None:
        """The next task that may begin, None where there is none now."""
        while self._ready:
            name = heapq.heappop(self._ready)[2]
            if name not in self._ended:
                return name
        return None

    def end(self, name: str, status: str) -> list[tuple[str, str]]:
        """Let a task end; gives (task, why) of every other that can never begin because of it, which end with it.

        A task behind one that was skipped begins all the same, unless it uses the result that is not there.
        """
        self._ended.add(name)
        stack, found = [(name, status)], []
        while stack:
            ended, how = stack.pop()
            for follower in self._steps[ended].followers:
                if follower in self._ended:
                    continue
                needed = ended in self._steps[follower].needs
                if how == "completed" or (how == SKIPPED and not needed):
                    self._open[follower] -= 1
                    if not self._open[follower]:
                        self._push(follower)
                    continue
                self._ended.add(follower)
                words = "has no result" if how == SKIPPED else "did not end well"
                found.append((follower, f"{ended}, which it {'uses' if needed else 'waits for'}, {words}"))
                # What it would have done is missing, even if its own follower only waits for it.
                stack.append((follower, SKIPPED if how == SKIPPED else "failed"))
        return found

    def _push(self, name: str) -> None:
        step = self._steps[name]
        heapq.heappush(self._ready, (-step.task.priority, step.number, name))
