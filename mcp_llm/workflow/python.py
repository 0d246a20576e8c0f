"""`python/execute`: a step of Python code, off unless the user's own settings allow it, and only inside a boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp_llm.errors import Denied

if TYPE_CHECKING:
    from .method import Call, Done

GIVES: Final = frozenset({"result", "stdout", "stderr", "exit_code", "execution_time"})


async def execute(call: Call) -> Done:
    """Run the code."""
    raise Denied("no boundary for Python code is available on this machine")
