"""When to try again and how long to wait: pure arithmetic. The loop itself is in `client.py`, the only one there is.

The figures are those of the vendors' own SDKs: at most three attempts a target, backoff 0.5 s doubling to 8 s with full
jitter, `Retry-After` honoured up to a minute. A longer wait means: do not wait here, ask the next target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp_llm.errors import ProviderError, Timeout, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.errors import Error

FIRST: Final = 0.5
LONGEST: Final = 8.0
CONFLICT: Final = 409


def wait(error: Error, attempt: int, *, attempts: int, max_wait: float, random: Callable[[], float]) -> float | None:
    """Seconds until the next attempt at the same target, or None for: not here again.

    `attempt` counts from 1. `random` gives a number in [0, 1).
    """
    if not isinstance(error, ProviderError) or not error.may_retry or attempt >= attempts:
        return None
    if isinstance(error, Timeout) and error.code != "connect":
        return None  # the request may be running, and be billed, still: ask somebody else, not the same one twice
    if error.status == CONFLICT and attempt > 1:
        return None  # a lock would be gone by now: what is in conflict still is so with itself
    asked = error.retry_after
    if asked is not None:
        # A little more than asked, so that many waiting callers do not come back in the same instant.
        return asked * (1 + 0.2 * random()) if asked <= max_wait else None
    return max(0.05, min(FIRST * 2.0 ** (attempt - 1), LONGEST) * random())


def may_fall_back(error: Error) -> bool:
    """Whether another target may be asked: for the provider's trouble, never for the caller's own mistakes."""
    if isinstance(error, TooLarge) or not isinstance(error, ProviderError):
        return False
    return error.kind in {"rate_limited", "overloaded", "timeout", "disconnected", "quota", "garbled"}
