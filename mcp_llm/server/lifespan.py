"""Opens what lives as long as the server, and ends it: what is begun here is over when this is."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from mcp_llm.app import open_app

from . import resumable
from .life import Life

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_llm.config import Config

    from .changes import Changes
    from .life import Heart
    from .seal import Seal


@asynccontextmanager
async def live(config: Config, heart: Heart, changes: Changes, seal: Seal) -> AsyncIterator[Life]:
    """Open everything; what still runs at the end is cancelled before the service closes."""
    async with open_app(config, told=_tell) as service, anyio.create_task_group() as tasks:
        tasks.start_soon(heart.run)
        tasks.start_soon(changes.watch, service)
        resumable.register(service)
        tasks.start_soon(service.resumers.watch, service.journals, tasks)
        try:
            yield Life(service, tasks, heart, seal)
        finally:
            tasks.cancel_scope.cancel()


def _tell(words: str) -> None:
    print(f"mcp-llm: {words}", file=sys.stderr, flush=True)  # noqa: T201 - stderr is where a host shows it
