"""Runs a command's async part: the app opened around it, signals turned into an orderly end within a second."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from mcp_llm.signals import ending

from . import terminal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.app import App
    from mcp_llm.config import Config

T = TypeVar("T")

GRACE: Final = 0.8
"""Seconds from a signal to the end of the process, whatever a library still waits for."""


class Interrupted(Exception):
    """A signal came while something was under way; the work was cancelled first."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted")
        self.code = 128 + number


def load(**overrides: Any) -> Config:
    """The settings of this process, with what the command's flags change; colour only where it is wanted."""
    from mcp_llm import config as configuration

    config = configuration.load(overrides=overrides)
    if config.variable("NO_COLOR") and (context := click.get_current_context(silent=True)):
        context.color = False
    return config


def run(
    work: Callable[[App], Awaitable[T]], config: Config | None = None, *, signals: bool = True, quiet: bool = False
) -> T:
    """Open the app, do the work, close the app; unless `quiet`, the notes that came up on the way go to stderr.

    Raises the errors of `mcp_llm.errors`, Interrupted, terminal.Gone. With `signals=False` the work attends to them.
    """
    import anyio

    from mcp_llm.app import open_app

    config = config or load()

    async def main() -> T:
        async with open_app(config) as service:
            return await (attended(lambda: work(service), last=True) if signals else work(service))

    told = list(config.problems)
    for words in () if quiet else told:
        terminal.problem(words)
    try:
        return anyio.run(main)
    except BaseExceptionGroup as group:
        raise only(group) from None
    finally:
        for words in () if quiet else config.problems:
            if words not in told:
                terminal.problem(words)


def done(work: Callable[[App], Awaitable[T]]) -> T:
    """What the work gives; a signal ends the process with its code."""
    try:
        return run(work)
    except Interrupted as exc:
        raise SystemExit(exc.code) from None


async def attended(work: Callable[[], Awaitable[T]], *, last: bool = False) -> T:
    """Do the work unless a signal comes; then it is cancelled and Interrupted raised.

    `last` says that the process is to end with it: then it does so within GRACE seconds.
    """
    import anyio

    caught: list[int] = []

    async def watch(scope: anyio.CancelScope, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        if sys.platform == "win32":  # its loops have no signal handlers; Ctrl-C raises KeyboardInterrupt there
            task_status.started()
            return
        with anyio.open_signal_receiver(*ending()) as signals:
            task_status.started()
            async for number in signals:
                caught.append(number)
                if last:
                    _leave_soon(128 + number)
                scope.cancel()
                return

    results: list[T] = []
    try:
        async with anyio.create_task_group() as tasks:
            await tasks.start(lambda task_status: watch(tasks.cancel_scope, task_status=task_status))
            results.append(await work())
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise only(group) from None
    if not results:
        raise Interrupted(caught[0] if caught else signal.SIGINT)
    return results[0]


def only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error in a group of one, however deep."""
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return inner


def _leave_soon(code: int) -> None:
    timer = threading.Timer(GRACE, os._exit, (code,))
    timer.daemon = True
    timer.start()
