"""Words of other people's servers, made fit to show: what nobody can see is taken out, what is too long is cut.

Hidden characters are how instructions are smuggled past the person who approves a tool. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final

from mcp_llm.types.text import unbroken

MOST_DESCRIPTION: Final = 4096
"""Bytes of a description."""

_CONTROLS: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_BIDI: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSEEN: Final = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
)
_TAGS: Final = "\U000e0000-\U000e007f"
_SURROGATES: Final = "\ud800-\udfff"
# Joiners and variation selectors shape scripts and emoji, so data keeps them; in a description they only hide.
_SHAPING: Final = "\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
_HIDDEN: Final = re.compile(f"[{_CONTROLS}{_BIDI}{_UNSEEN}{_TAGS}]")
_HIDDEN_OR_SHAPING: Final = re.compile(f"[{_CONTROLS}{_BIDI}{_UNSEEN}{_TAGS}{_SHAPING}\r]")
_ASCII_CONTROLS: Final = bytes([*range(9), 11, 12, *range(14, 32), 127])
_PIECE: Final = 64 * 1024
_LONE: Final = re.compile(f"[{_SURROGATES}]")
# ESC sequences go as a whole: without their first byte they would stand there as words.
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?|[@-Z\\-_])")


def visible(text: str) -> str:
    """Data as a model may read it: without control, direction, tag and zero-width characters.

    Lone surrogates become U+FFFD. Line breaks, tabs, and the joiners that scripts and emoji need stay.
    """
    # A regular expression holds the interpreter until it is done: in pieces, others get their turn in between.
    return "".join(_visible(text[start : start + _PIECE]) for start in range(0, len(text), _PIECE))


def _visible(text: str) -> str:
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if text.isascii():
        return text.encode("ascii").translate(None, _ASCII_CONTROLS).decode("ascii")
    return _LONE.sub("\ufffd", _HIDDEN.sub("", text))


def clean(text: str, most: int = MOST_DESCRIPTION) -> str:
    """A name, title, description or message as a person may read it, at most so many bytes of UTF-8."""
    text = text[: most * 4]
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    return cut(_LONE.sub("\ufffd", _HIDDEN_OR_SHAPING.sub("", text)), most)


def line(text: str, most: int = 200) -> str:
    """`clean`, on one line."""
    return " ".join(clean(text, most).split())


def cut(text: str, most: int) -> str:
    """The beginning of a text, at most so many bytes of UTF-8, with an ellipsis where something is missing."""
    data = text.encode("utf-8", "replace")
    if len(data) <= most:
        return text
    return data[: max(most - 4, 0)].decode("utf-8", "ignore") + " ..."[: min(most, 4)]


def mended(value: Any) -> Any:
    """A JSON value with U+FFFD for half surrogate pairs, which cannot be written down or sent."""
    if isinstance(value, str):
        return unbroken(value)
    if isinstance(value, dict):
        return {mended(name): mended(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [mended(inner) for inner in value]
    return value
