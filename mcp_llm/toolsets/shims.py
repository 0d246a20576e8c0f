"""Batch files as Windows starts them: `npx` is `npx.cmd` there, and cmd.exe reads its arguments once more.

Pure. What cmd.exe would take as its own (`& | < > ^ % "`) reaches the program as it was given, as Rust's standard
library does it since CVE-2024-24576; what cannot be said on its line is refused.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import ToolFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNSAID: Final = re.compile(r"[\0\r\n]")


def needed(command: str, *, platform: str = sys.platform) -> bool:
    """Whether the command is a batch file, which only cmd.exe can run."""
    return platform == "win32" and command.lower().rstrip(". ").endswith((".cmd", ".bat"))


def line(command: str, arguments: Iterable[str]) -> str:
    """Command and arguments as a line for `cmd.exe /c`. Raises ToolFailed."""
    return " ".join(_quoted(word) for word in (command, *arguments))


def _quoted(word: str) -> str:
    if _UNSAID.search(word):
        raise ToolFailed(
            "its command is a batch file, which takes no argument with a line break or a NUL character: leave them out,"
            " or start the program itself (for npx: `node` and the script)"
        )
    # Backslashes before a quote are doubled for the program; a quote is doubled for both. `%%cd:~,%` is a percent sign
    # followed by nothing: zero letters of a variable that always exists.
    word = re.sub(r'(\\*)"', r'\1\1""', word)
    word = re.sub(r"(\\+)$", r"\1\1", word)
    return '"' + word.replace("%", "%%cd:~,%") + '"'
