"""Markdown as its tests read it: fenced blocks with their lines, the prose without them, headings and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_FENCE: Final = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: the line its text begins at, its language, its text, and what stands after the language.

    Hosts of Markdown show nothing of what stands there; the tests read it: a file's name, or what kind of thing it is.
    """

    line: int
    language: str
    text: str
    note: str = ""


class Page:
    """One Markdown file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text(encoding="utf-8")
        self.prose = _FENCE.sub("", self.text)
        self.blocks = [self._block(found) for found in _FENCE.finditer(self.text)]

    def _block(self, found: re.Match[str]) -> Block:
        language, _, note = found[1].partition(" ")
        return Block(self.text[: found.start(2)].count("\n") + 1, language, found[2], note.strip())

    @property
    def whole(self) -> bool:
        """Whether every fence was read as the edge of a block."""
        return self.text.count("```") == 2 * len(self.blocks)

    @property
    def words(self) -> int:
        """How many words a reader has before him, code included."""
        return len(self.text.split())

    @property
    def links(self) -> list[str]:
        """Where its links lead."""
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """The places in it that a link can name, as GitHub spells them."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @property
    def commands(self) -> list[str]:
        """Every `mcp-llm ...` that stands in the prose."""
        found = re.findall(r"`(mcp-llm [^`]+)`", self.prose)
        return sorted({" ".join(one.split()) for one in found})
