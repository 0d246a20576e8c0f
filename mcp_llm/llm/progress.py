"""How far a call is, for whoever shows it: a heartbeat, a terminal, nobody."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_llm.types.chat import End
from mcp_llm.types.message import Text, Thinking

if TYPE_CHECKING:
    from mcp_llm.types.chat import Chunk


@dataclass(slots=True)
class Progress:
    """How far a call is; whoever shows progress reads it when it likes."""

    started: float = field(default_factory=time.monotonic)
    who: str = "choosing a model"
    note: str = ""
    characters: int = 0
    thinking: bool = False

    def line(self) -> str:
        """One line of at most 200 characters that a waiting person would want."""
        words = [self.who]
        if self.note:
            words.append(self.note)
        elif self.characters:
            words.append(f"~{max(1, self.characters // 4):,} tokens" + (" of thinking" if self.thinking else ""))
        words.append(f"{time.monotonic() - self.started:.0f} s")
        return " · ".join(words)[:200]

    def tell(self, note: str) -> None:
        """Say what the call waits for."""
        self.note = note

    def take(self, chunks: list[Chunk]) -> None:
        """Count what arrived."""
        for chunk in chunks:
            if not isinstance(chunk, End) and isinstance(part := chunk.part, Text | Thinking):
                self.characters += len(part.text)
                self.thinking = isinstance(part, Thinking)
        self.note = ""
