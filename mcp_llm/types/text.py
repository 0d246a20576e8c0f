"""Text that came from anywhere, made fit to be written down: by UTF-8, and on one line of a table or a log.

Pure. What a terminal or a model may be shown is decided where it is shown.
"""

from __future__ import annotations


def unbroken(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, which UTF-8 cannot say; two halves become one character.

    Half a pair is what an escape of JSON may say, or what is left of a text that was cut.
    """
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def name(text: str, most: int = 256) -> str:
    """A name as it is kept: at most so many characters, those that cannot be seen written as escapes."""
    text = text[:most]
    if text.isprintable():
        return text
    seen = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in unbroken(text))
    return "".join(seen)[:most]
