"""What is shown of a reply that cannot be read: a short, harmless piece of it, for the text of an error.

Of a page for people, which is what a gateway answers with, only its title: markup says nothing to a model that reads
the error, and costs it tokens.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Final

LOOKED_AT: Final = 800
"""Bytes of a body that are looked at; 200 characters are never more."""
_PAGE: Final = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|center|h1)\b", re.I | re.S
)
_TITLE: Final = re.compile(r"<(title|h1)\b[^>]*>\s*(.{1,200}?)\s*</\1", re.I | re.S)


def beginning(data: bytes) -> str:
    """What a body does or is, to be read after "the reply"; empty for an empty one."""
    data = data[:LOOKED_AT]
    if _PAGE.match(data):
        title = _TITLE.search(data.decode("utf-8", "replace"))
        return f"is an HTML page: {printable(unescape(title[2]))!r}" if title else "is an HTML page"
    words = excerpt(data)
    return f"begins: {words!r}" if words else ""


def excerpt(data: bytes) -> str:
    """The first 200 characters of a body, control characters escaped, for error messages."""
    return printable(data[:LOOKED_AT].decode("utf-8", "backslashreplace")[:200])


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would obey or that cannot be encoded."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
