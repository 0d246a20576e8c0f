"""The kinds of runs that can be gone on with; a new one is one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lasting import KIND, Again
from .tools.generate import read

if TYPE_CHECKING:
    from mcp_llm.app import App


def register(app: App) -> None:
    """Tell the app who goes on with which kind."""
    app.resumers.register(KIND, Again(app, read))
