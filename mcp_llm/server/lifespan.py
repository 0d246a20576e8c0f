"""Opens what lives as long as the server, and ends it: what is begun here is over when this is.

A host that starts us waits for our list of tools, which needs no catalog, no store and no provider: those are loaded
by the first call that needs them, or soon after the start if none comes.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from .life import Life
from .stderr import say
from .steady import steady

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup

    from mcp_llm.app import App
    from mcp_llm.config import Config

    from .changes import Changes
    from .life import Heart
    from .seal import Seal


SOON: Final = 0.25
"""Seconds after which the service is opened though no call has asked for it: by then a host has its list of tools, and
runs whose process is gone wait for somebody to go on with them."""


@asynccontextmanager
async def live(config: Config, heart: Heart, changes: Changes, seal: Seal) -> AsyncIterator[Life]:
    """What calls are given; what still runs at the end is cancelled before the service closes."""
    tasks = anyio.create_task_group()
    life = Life(partial(_open, config, changes, tasks), tasks, heart, seal)
    try:
        async with tasks:
            tasks.start_soon(steady, "telling hosts how far calls are", heart.run)
            tasks.start_soon(steady, "opening what calls need", partial(_soon, life))
            try:
                yield life
            finally:
                tasks.cancel_scope.cancel()
    finally:
        await life.aclose()


async def _soon(life: Life) -> None:
    await anyio.sleep(SOON)
    _ = life.service


def _open(config: Config, changes: Changes, tasks: TaskGroup) -> App:
    """The service, and what goes on beside the calls as long as it is open."""
    from mcp_llm import app
    from mcp_llm.runs.retention import Retention

    from . import resumable

    service = app.build(config, told=say)
    resumable.register(service)
    for name, work in (
        ("looking for changed files", partial(changes.watch, service)),
        ("letting go of what is old", Retention(service.store, service.artifacts, config.settings.keep).watch),
        ("looking for runs whose process is gone", partial(service.resumers.watch, service.journals, tasks)),
    ):
        tasks.start_soon(steady, name, work)
    return service
