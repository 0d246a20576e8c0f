"""One line for whoever runs the server, on stderr; it is never worth the server where nobody reads that any more."""

from __future__ import annotations

import sys
from contextlib import suppress


def say(words: str) -> None:
    """Write it at once. May be called from any thread."""
    with suppress(OSError, ValueError, AttributeError):  # closed over there, closed here, none at all
        sys.stderr.write(f"mcp-llm: {words}\n")
        sys.stderr.flush()
