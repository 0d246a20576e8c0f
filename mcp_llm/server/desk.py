"""What a run wants of its host's model while it goes on, and the answers that are brought; it ends with the process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from mcp.types import CreateMessageResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp.types import CreateMessageRequest


@dataclass(slots=True)
class Wanted:
    """One thing that a run wants of the host's model."""

    request: CreateMessageRequest
    answered: anyio.Event = field(default_factory=anyio.Event)
    result: CreateMessageResult | None = None


@dataclass(slots=True)
class Desk:
    """What one run wants now, by keys that are used once. `leave` ends the patience of the call that is open."""

    open: dict[str, Wanted] = field(default_factory=dict)
    leave: Callable[[], None] = lambda: None
    _count: int = 0

    def hurried(self, leave: Callable[[], None]) -> None:
        """A call waits; this ends it early."""
        self.leave = leave
        if self.open:
            leave()

    async def ask(self, request: CreateMessageRequest) -> CreateMessageResult | None:
        """Wait until somebody brings the answer; None for one that is no sampling result."""
        self._count += 1
        key, wanted = f"model-{self._count}", Wanted(request)
        self.open[key] = wanted
        self.leave()
        try:
            await wanted.answered.wait()
        finally:
            self.open.pop(key, None)
        return wanted.result

    def bring(self, answers: Mapping[str, Any]) -> None:
        """Answers by their keys; those to nothing that is open are ignored."""
        for key, wanted in [*self.open.items()]:
            if key in answers:
                answer = answers[key]
                wanted.result = answer if isinstance(answer, CreateMessageResult) else None
                wanted.answered.set()
                self.open.pop(key, None)
