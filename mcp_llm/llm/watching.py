"""Looks into a reply while it comes, for whoever wants the pieces of a stream before the whole of it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from mcp_llm.errors import Garbled, TooLarge
from mcp_llm.wires.frames import Frames
from mcp_llm.wires.reply import parse

from .operation import dialect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .doing import Doing
    from .operation import Taker

P = TypeVar("P", bytes, str)

EVENT: Final = 24 * 1024 * 1024
"""Bytes of one event: a picture in base64."""


class Watch(Generic[P]):
    """Give `begin` to `LLM.call`; what the wire's `piece(event)` finds goes to `on_piece`."""

    def __init__(self, operation: str, this: Doing, on_piece: Callable[[P], Awaitable[None]] | None) -> None:
        target = this.plan.targets[0]
        coded = target.quirks is None
        self.count = 0
        self._piece: Callable[[Any], P | None] | None = (
            None if coded else getattr(dialect(operation, target), "piece", None)
        )
        self._frames = Frames("sse", max_event=EVENT)
        self._on_piece: Callable[[P], Awaitable[None]] | None = on_piece
        self._progress = this.progress

    def begin(self) -> Taker:
        """For another attempt: what came of the last one is forgotten."""
        self._frames = Frames("sse", max_event=EVENT)
        return self.take

    async def take(self, data: bytes) -> bool:
        """What arrived; whether anybody was shown something of it. The decoder, later, says what is wrong with it."""
        if self._piece is None:
            return False
        try:
            frames = self._frames.feed(data)
        except TooLarge:
            self._piece = None
            return False
        for _, event in frames:
            try:
                found = self._piece(parse(event))
            except (ValueError, TypeError, LookupError, Garbled):
                continue
            if found:
                self.count += 1
                self._progress.tell(f"piece {self.count}")
                if self._on_piece is not None:
                    await self._on_piece(found)
        return self.count > 0 and self._on_piece is not None
