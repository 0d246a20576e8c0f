"""Limits that are kept to by ourselves: slots and units of a minute of one provider, calls of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from faults.asking import ask
from faults.replies import ok
from faults.server import FaultServer

from mcp_llm.catalog.schema import Limits
from mcp_llm.errors import Busy, RateLimited
from mcp_llm.llm import limits
from mcp_llm.llm.health import FAILURES
from mcp_llm.llm.limits import Calls, Gate, Rate

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio


async def taken(rate: Rate, units: int) -> bool:
    """Whether there is room at once."""
    with anyio.move_on_after(0.02) as scope:
        await rate.take(units)
    return not scope.cancelled_caught


async def test_no_more_units_than_the_limit_fit_into_a_minute() -> None:
    rate = Rate(10)
    assert [await taken(rate, 4) for _ in range(4)] == [True, True, False, False]
    assert await taken(rate, 2)
    assert not await taken(rate, 1)


async def test_room_comes_back_when_a_minute_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MINUTE", 0.1)
    rate = Rate(10)
    started = anyio.current_time()
    for _ in range(5):
        await rate.take(5)
    assert 0.2 <= anyio.current_time() - started < 1


async def test_more_than_the_limit_at_once_waits_for_an_empty_window_and_then_goes() -> None:
    rate = Rate(10)
    assert await taken(rate, 1000)
    assert not await taken(rate, 1)


async def test_a_gate_without_limits_is_free() -> None:
    assert Gate(Limits()).free
    assert not Gate(Limits(concurrency=1)).free
    assert not Gate(Limits(requests_per_minute=1)).free
    assert not Gate(Limits(tokens_per_minute=1)).free


async def test_as_many_are_inside_as_the_limit_says_and_each_gets_its_turn() -> None:
    gate = Gate(Limits(concurrency=3))
    inside = most = done = 0

    async def enter() -> None:
        nonlocal inside, most, done
        async with gate.enter(1):
            inside += 1
            most = max(most, inside)
            await anyio.lowlevel.checkpoint()
            inside -= 1
            done += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(enter)
    assert (most, done) == (3, 20)


async def test_whoever_is_cancelled_while_waiting_takes_no_slot() -> None:
    gate = Gate(Limits(concurrency=1))
    async with gate.enter(1):
        with anyio.move_on_after(0.01):
            async with gate.enter(1):
                pass
    with anyio.fail_after(1):
        async with gate.enter(1):
            pass


def test_one_call_too_many_is_answered_busy_at_once() -> None:
    calls = Calls(2)
    with calls, calls:
        with pytest.raises(Busy, match="2 calls are in flight"), calls:
            pass
        assert calls.running == 2
    assert calls.running == 0


async def test_a_providers_slot_is_given_back_after_every_call(asking: Asking) -> None:
    from faults.asking import ask

    with FaultServer([ok("openai", stream=True)]) as server:
        model = asking.provider("acme", server.url, "[limits]\nconcurrency = 2\nrequests_per_minute = 100\n")
        async with asking.open() as service, anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(ask, service, model)
    assert (len(server.requests), server.connections <= 2) == (10, True)


async def test_whoever_gives_up_waiting_for_a_slot_has_used_nothing_of_the_minute() -> None:
    gate = Gate(Limits(concurrency=1, requests_per_minute=2))
    async with gate.enter(1):
        with anyio.move_on_after(0.02) as scope:
            async with gate.enter(1):
                raise AssertionError
    assert scope.cancelled_caught
    with anyio.fail_after(5):
        async with gate.enter(1):
            pass


async def test_what_our_own_limits_refuse_does_not_heal_a_provider_that_fails(asking: Asking) -> None:
    with FaultServer([ok("openai", stream=True)]) as server:
        model = asking.provider("acme", server.url, "[limits]\nrequests_per_minute = 1\n")
        async with asking.open() as service:
            await ask(service, model)
            for _ in range(FAILURES - 1):
                service.llm.breakers.record("acme", "overloaded")
            with pytest.raises(RateLimited, match="limits set for it"):
                await ask(service, model, timeout_s=0.05)
            service.llm.breakers.record("acme", "overloaded")
            assert service.llm.breakers.is_open("acme")
            assert len(server.requests) == 1
