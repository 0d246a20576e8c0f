"""The schedule of second attempts: pure arithmetic, so every rule is a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.errors import (
    AuthError,
    BadRequest,
    BudgetExceeded,
    Busy,
    Denied,
    Disconnected,
    Error,
    Garbled,
    InvalidInput,
    MissingKey,
    NotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    Timeout,
    TooLarge,
)
from mcp_llm.llm import retry


def wait(error: Error, attempt: int = 1, luck: float = 0.5, attempts: int = 3) -> float | None:
    return retry.wait(error, attempt, attempts=attempts, max_wait=60, random=lambda: luck)


@pytest.mark.parametrize(
    ("error", "attempt", "luck", "seconds"),
    [
        (Overloaded("x"), 1, 0.5, 0.25),
        (Overloaded("x"), 2, 0.5, 0.5),
        (Overloaded("x"), 1, 1.0, 0.5),
        (Overloaded("x"), 1, 0.0, 0.05),
        (Overloaded("x"), 3, 0.5, None),
        (RateLimited("x", retry_after=2.0), 1, 0.0, 2.0),
        (RateLimited("x", retry_after=2.0), 1, 1.0, 2.4),
        (RateLimited("x", retry_after=60.0), 1, 0.0, 60.0),
        (RateLimited("x", retry_after=60.1), 1, 0.0, None),
        (RateLimited("x", retry_after=2.0), 3, 0.0, None),
        (Overloaded("x", retry_after=2.0), 1, 0.0, 2.0),
        (Disconnected("x"), 1, 0.5, 0.25),
        (Disconnected("x", retry=False), 1, 0.5, None),
        (Timeout("x"), 1, 0.5, None),
        (Timeout("x", code="connect"), 1, 0.5, 0.25),
        (BadRequest("x"), 1, 0.5, None),
        (BadRequest("x", retry=True), 1, 0.5, 0.25),
        (AuthError("x"), 1, 0.5, None),
        (QuotaExceeded("x"), 1, 0.5, None),
        (NotFound("x"), 1, 0.5, None),
        (Garbled("x"), 1, 0.5, None),
        (TooLarge("x"), 1, 0.5, None),
        (BudgetExceeded("x", limit="usd"), 1, 0.5, None),
        (Busy("x"), 1, 0.5, None),
        (MissingKey("p", ["P_KEY"]), 1, 0.5, None),
    ],
)
def test_how_long_to_wait(error: Error, attempt: int, luck: float, seconds: float | None) -> None:
    assert wait(error, attempt, luck) == seconds


def test_backoff_doubles_to_eight_seconds() -> None:
    assert [wait(Overloaded("x"), attempt, 1.0, 10) for attempt in range(1, 9)] == [0.5, 1, 2, 4, 8, 8, 8, 8]


@given(
    st.integers(1, 10),
    st.floats(0, 1, exclude_max=True),
    st.none() | st.floats(min_value=0, exclude_min=True, allow_nan=False),
)
def test_no_wait_is_nothing_or_longer_than_the_cap(attempt: int, luck: float, asked: float | None) -> None:
    seconds = wait(RateLimited("x", retry_after=asked), attempt, luck, attempts=10)
    if seconds is not None:
        assert 0 < seconds <= 60 * 1.25
        assert asked is None or asked <= seconds <= asked * 1.25


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (RateLimited("x"), True),
        (Overloaded("x"), True),
        (Timeout("x"), True),
        (Disconnected("x"), True),
        (Disconnected("x", retry=False), True),
        (QuotaExceeded("x"), True),
        (Garbled("x"), True),
        (BadRequest("x"), False),
        (AuthError("x"), False),
        (NotFound("x"), False),
        (TooLarge("x"), False),
        (InvalidInput("x"), False),
        (Denied("x"), False),
        (BudgetExceeded("x", limit="usd"), False),
    ],
)
def test_who_else_may_be_asked(error: Error, may: bool) -> None:
    assert retry.may_fall_back(error) is may
