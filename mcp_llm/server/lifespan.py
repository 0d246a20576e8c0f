"""Opens what lives as long as the server, and ends it: what is begun here is over when this is."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from mcp_llm.app import open_app
from mcp_llm.runs.retention import Retention

from . import resumable
from .life import Life
from .stderr import say
from .steady import steady

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_llm.config import Config

    from .changes import Changes
    from .life import Heart
    from .seal import Seal


@asynccontextmanager
async def live(config: Config, heart: Heart, changes: Changes, seal: Seal) -> AsyncIterator[Life]:
    """Open everything; what still runs at the end is cancelled before the service closes."""
    async with open_app(config, told=say) as service, anyio.create_task_group() as tasks:
        resumable.register(service)
        for name, work in (
            ("telling hosts how far calls are", heart.run),
            ("looking for changed files", partial(changes.watch, service)),
            ("letting go of what is old", Retention(service.store, service.artifacts, config.settings.keep).watch),
            ("looking for runs whose process is gone", partial(service.resumers.watch, service.journals, tasks)),
        ):
            tasks.start_soon(steady, name, work)
        try:
            yield Life(service, tasks, heart, seal)
        finally:
            tasks.cancel_scope.cancel()
