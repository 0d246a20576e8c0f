"""What is known of each provider's state from the calls themselves: a circuit breaker and the last outcome.

Five failures within 30 seconds open the breaker: for 15 seconds that provider is not asked, then one call is let
through to see (security.md F14). A clock is passed in, so everything here is plain arithmetic.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mcp_llm.types.message import Value

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES: Final = 5
WINDOW: Final = 30.0
PAUSE: Final = 15.0
TROUBLE: Final = frozenset({"overloaded", "timeout", "disconnected", "garbled"})
"""Error kinds that say something about the provider, not about the request."""
ANSWERED: Final = frozenset(
    {"auth", "quota", "not_found", "bad_request", "context_too_long", "refused", "rate_limited", "too_large"}
)
"""Error kinds of a provider that is up."""


class ProviderHealth(Value):
    """`{provider_id, available, latency_ms, models_available, last_checked}`; `detail` says why it is not available."""

    provider_id: str
    available: bool | None = None
    latency_ms: int | None = None
    models_available: int | None = None
    last_checked: str | None = None
    detail: str | None = None


@dataclass(slots=True)
class _State:
    answered: float = float("-inf")
    failures: deque[float] = field(default_factory=deque)
    open_until: float | None = None
    probe: float | None = None
    """When the call was let through that is to see."""


@dataclass(slots=True)
class Breakers:
    """One breaker a provider; `clock` gives monotonic seconds."""

    clock: Callable[[], float]
    _states: dict[str, _State] = field(default_factory=dict)

    def allows(self, provider_id: str) -> bool:
        """Whether to ask it now. While half open only the first caller gets True; that call is the probe."""
        state = self._states.get(provider_id)
        if state is None or state.open_until is None:
            return True
        now = self.clock()
        if now < state.open_until or state.probe is not None:
            return False
        state.probe = now
        return True

    def is_open(self, provider_id: str) -> bool:
        """Whether it is being spared, without taking the probe."""
        state = self._states.get(provider_id)
        if state is None or state.open_until is None:
            return False
        return state.probe is not None or self.clock() < state.open_until

    def seconds_left(self, provider_id: str) -> float:
        """How long it is still spared."""
        state = self._states.get(provider_id)
        return max(0.0, state.open_until - self.clock()) if state and state.open_until is not None else 0.0

    def release(self, provider_id: str, sent: float | None = None) -> None:
        """Give a probe back that came to no outcome; a call that was `sent` before it was let through is not it."""
        state = self._states.get(provider_id)
        if state is not None and state.probe is not None and (sent is None or sent >= state.probe):
            state.probe = None

    def begun(self, provider_id: str) -> None:
        """An answer has begun: where it is the probe's, the others need not wait for its end, be it minutes away."""
        state = self._states.get(provider_id)
        if state is not None and state.probe is not None:
            self._states[provider_id] = _State(self.clock())

    def record(self, provider_id: str, kind: str | None, sent: float | None = None) -> None:
        """Note an outcome: None for success, else the error's kind; `sent` is the clock when it was asked.

        What never reached it says nothing about it. Nor does a failure of what was sent before its last answer came: of
        a crowd the few that hang end last, one after another, and would close a provider that answered all the others.
        """
        now = self.clock()
        if kind is None or kind in ANSWERED:
            self._states[provider_id] = _State(now)  # it answered, be it with a refusal
            return
        state = self._states.setdefault(provider_id, _State())
        known = state.answered if state.probe is None else state.probe
        if kind not in TROUBLE or (sent is not None and sent < known):
            self.release(provider_id, sent)
            return
        state.failures.append(now)
        while state.failures and state.failures[0] < now - WINDOW:
            state.failures.popleft()
        if state.probe is not None or len(state.failures) >= FAILURES:
            state.open_until = now + PAUSE
            state.probe = None
