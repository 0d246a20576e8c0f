"""Takes `<think>...</think>` off the beginning of a streamed answer, wherever the deltas cut the tags."""

from __future__ import annotations

from typing import Final

OPEN: Final = "<think>"
CLOSE: Final = "</think>"


class ThinkTags:
    """Feed it text, get `(thinking, text)`; tags elsewhere stay text, newlines around the two taken off are dropped."""

    def __init__(self) -> None:
        self._blank: list[str] = []
        self._held = ""
        self._place = "start"

    @property
    def settled(self) -> bool:
        """Whether everything from here on is text."""
        return self._place == "text"

    def feed(self, text: str) -> tuple[str, str]:
        """What is certain by now; a beginning of a tag is held back."""
        if self._place == "text":
            return "", text
        if self._place == "start" and not self._held and text.isspace():
            self._blank.append(text)
            return "", ""
        held = self._held + text
        self._held = ""
        thinking = ""
        if self._place == "start":
            rest = held.lstrip()
            if not rest.startswith(OPEN):
                if OPEN.startswith(rest):
                    self._held = held
                    return "", ""
                self._place = "text"
                return "", self._before(held)
            self._place = "opened"
            self._blank.clear()
            held = rest[len(OPEN) :]
        if self._place == "opened":
            held = held.lstrip("\n")
            if held:
                self._place = "thinking"
        if self._place == "thinking":
            thinking, tag, rest = held.partition(CLOSE)
            if not tag:
                return self._kept(held), ""
            self._place = "closed"
            held = rest
        if self._place == "closed":
            held = held.lstrip("\n")
            if held:
                self._place = "text"
        return thinking, held

    def close(self) -> tuple[str, str]:
        """What was held back."""
        held, self._held = self._held, ""
        return (held, "") if self._place == "thinking" else ("", self._before(held))

    def _before(self, held: str) -> str:
        """The text with the blanks that came before it."""
        text = "".join([*self._blank, held])
        self._blank.clear()
        return text

    def _kept(self, held: str) -> str:
        """The text without what may be the beginning of the closing tag, which is held back."""
        for size in range(min(len(CLOSE) - 1, len(held)), 0, -1):
            if held.endswith(CLOSE[:size]):
                self._held = held[-size:]
                return held[:-size]
        return held
