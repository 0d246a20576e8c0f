"""Work that goes on as long as the server: a fault of ours in it is told and it begins anew, because it shares a task
group with everybody's calls, which would all end with it.

What a single call does is no such work: its errors are its caller's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

AGAIN: Final = 30.0
"""Seconds after which it begins anew: the same fault may be met each time, and is one traceback each time."""

logger = logging.getLogger(__name__)


async def steady(name: str, work: Callable[[], Awaitable[None]], again: float = AGAIN) -> None:
    """Do the work until it returns or is cancelled; `name` says in the log what it was."""
    while True:
        try:
            return await work()
        except Exception:
            logger.exception("%s failed and begins anew in %.0f s", name, again)
        await anyio.sleep(again)
