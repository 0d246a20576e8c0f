"""The words of a call that may become a run: kept in memory at first, in the journal from the moment there is one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_llm.types.chat import End
from mcp_llm.types.events import TextEvent, ThinkingEvent
from mcp_llm.types.message import Text, Thinking

if TYPE_CHECKING:
    from mcp_llm.types.chat import Chunk

    from .journal import Journal


@dataclass(slots=True)
class Recorder:
    """Give `take` to whoever streams."""

    journal: Journal | None = None
    _early: list[Text | Thinking] = field(default_factory=list)

    async def take(self, chunks: list[Chunk]) -> None:
        """What arrived."""
        for chunk in chunks:
            if not isinstance(chunk, End) and isinstance(chunk.part, Text | Thinking) and chunk.part.text:
                if self.journal is None:
                    self._early.append(chunk.part)
                else:
                    self._note(self.journal, chunk.part)

    def move(self, journal: Journal) -> None:
        """From now on into this journal, and what came before as well."""
        self.journal = journal
        for part in self._early:
            self._note(journal, part)
        self._early.clear()

    @staticmethod
    def _note(journal: Journal, part: Text | Thinking) -> None:
        journal.note(TextEvent(text=part.text) if isinstance(part, Text) else ThinkingEvent(summary=part.text))
