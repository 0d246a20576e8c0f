"""Runs the server over stdio until its client goes or a signal comes; then it is gone within two seconds."""

from __future__ import annotations

import gc
import logging
import os
import threading
from typing import TYPE_CHECKING, Final

from mcp_llm.signals import ending, unmeant

from . import stdio
from .stderr import say
from .stderr import spare as spare_stderr

if TYPE_CHECKING:
    from mcp_llm.config import Config

GRACE: Final = 1.5
"""Seconds for calls in flight to be cancelled and rows to be written; after that the process leaves all the same."""


def serve(config: Config | None = None) -> None:
    """Serve stdin and stdout. Returns after a clean end; the exit code is 0 for EOF, SIGTERM and SIGINT alike."""
    pipes = stdio.claim()
    # Half of a cold start is the collector walking classes that live for ever anyway (0.92 of the wall time without).
    gc.disable()
    import anyio

    from mcp_llm import config as configuration

    spare_stderr()
    config = config or configuration.load()
    for problem in config.problems:
        say(problem)
    from .build import build
    from .untraced import spare

    server = build(config)
    spare(server, config.settings.telemetry)
    config.redactor.guard(logging.getLogger())
    gc.freeze()
    gc.enable()

    unmeant()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_until_signal, tasks.cancel_scope)
            async with stdio.streams(pipes, config.settings.max_calls) as (read, write):
                low = server._lowlevel_server  # the one way to serve streams of one's own
                await low.run(read, write, low.create_initialization_options())
            _leave_soon()
            tasks.cancel_scope.cancel()

    try:
        anyio.run(main)
    except KeyboardInterrupt:
        _leave_soon()


async def _until_signal(scope: object) -> None:
    import anyio

    try:
        receiver = anyio.open_signal_receiver(*ending())
        with receiver as signals:
            async for _ in signals:
                _leave_soon()
                assert isinstance(scope, anyio.CancelScope)
                scope.cancel()
                return
    except NotImplementedError:  # Windows' default loop has no signal handlers; Ctrl-C raises KeyboardInterrupt there
        return


def _leave_soon() -> None:
    """From now on the process ends within GRACE seconds, whatever a library still waits for."""
    timer = threading.Timer(GRACE, os._exit, (0,))
    timer.daemon = True
    timer.start()
