"""The circuit breaker, driven by a clock of its own."""

from __future__ import annotations

import pytest

from mcp_llm.llm.health import FAILURES, PAUSE, TROUBLE, WINDOW, Breakers


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def breakers(now: list[float]) -> Breakers:
    return Breakers(lambda: now[0])


def break_(breakers: Breakers, times: int = FAILURES) -> None:
    for _ in range(times):
        breakers.record("acme", "overloaded")


def test_five_failures_within_thirty_seconds_open_it(breakers: Breakers, now: list[float]) -> None:
    for _ in range(FAILURES):
        assert breakers.allows("acme")
        breakers.record("acme", "timeout")
        now[0] += WINDOW / FAILURES - 0.1
    assert not breakers.allows("acme")
    assert breakers.is_open("acme")
    assert breakers.allows("other")


def test_failures_that_lie_further_apart_do_not(breakers: Breakers, now: list[float]) -> None:
    for _ in range(20):
        breakers.record("acme", "overloaded")
        now[0] += WINDOW / (FAILURES - 1) + 0.1
        assert breakers.allows("acme")


@pytest.mark.parametrize("kind", sorted(TROUBLE))
def test_trouble_of_every_kind_counts(breakers: Breakers, kind: str) -> None:
    for _ in range(FAILURES):
        breakers.record("acme", kind)
    assert breakers.is_open("acme")


@pytest.mark.parametrize("kind", [None, "bad_request", "auth", "rate_limited", "quota", "refused", "not_found"])
def test_an_answer_of_any_kind_starts_the_count_again(breakers: Breakers, kind: str | None) -> None:
    break_(breakers, FAILURES - 1)
    breakers.record("acme", kind)
    break_(breakers, FAILURES - 1)
    assert breakers.allows("acme")


@pytest.mark.parametrize("kind", ["cancelled", "missing_key", "invalid_input", "budget", "unsupported"])
def test_what_never_reached_it_neither_counts_nor_heals(breakers: Breakers, kind: str) -> None:
    break_(breakers, FAILURES - 1)
    for _ in range(FAILURES):
        breakers.record("acme", kind)
    assert breakers.allows("acme")
    break_(breakers, 1)
    assert not breakers.allows("acme")


def test_of_a_crowd_those_that_hang_and_end_last_do_not_open_it(breakers: Breakers, now: list[float]) -> None:
    sent = now[0]
    now[0] += 0.5
    breakers.record("acme", None)
    now[0] += 2
    for _ in range(FAILURES * 2):
        breakers.record("acme", "timeout", sent)
    assert breakers.allows("acme")
    for _ in range(FAILURES):
        breakers.record("acme", "timeout", now[0])
    assert not breakers.allows("acme")


def test_after_the_pause_one_probe_goes_and_the_others_wait_for_it(breakers: Breakers, now: list[float]) -> None:
    break_(breakers)
    assert breakers.seconds_left("acme") == PAUSE
    now[0] += PAUSE - 0.1
    assert not breakers.allows("acme")
    now[0] += 0.2
    assert [breakers.allows("acme") for _ in range(5)] == [True, False, False, False, False]
    assert breakers.is_open("acme")


def test_a_probe_that_fails_opens_it_for_another_pause(breakers: Breakers, now: list[float]) -> None:
    break_(breakers)
    now[0] += PAUSE + 100  # the old failures have left the window
    assert breakers.allows("acme")
    breakers.record("acme", "overloaded")
    assert not breakers.allows("acme")
    now[0] += PAUSE
    assert breakers.allows("acme")


def test_a_probe_that_succeeds_closes_it(breakers: Breakers, now: list[float]) -> None:
    break_(breakers)
    now[0] += PAUSE
    assert breakers.allows("acme")
    breakers.record("acme", None)
    assert all(breakers.allows("acme") for _ in range(5))
    break_(breakers, FAILURES - 1)
    assert breakers.allows("acme")


@pytest.mark.parametrize("outcome", ["cancelled", "missing_key"])
def test_a_probe_that_came_to_nothing_leaves_room_for_the_next(
    breakers: Breakers, now: list[float], outcome: str
) -> None:
    break_(breakers)
    now[0] += PAUSE
    assert breakers.allows("acme")
    breakers.record("acme", outcome)
    assert breakers.allows("acme")
    assert not breakers.allows("acme")
    breakers.release("acme")
    assert breakers.allows("acme")


def test_a_provider_that_is_down_for_ten_minutes_is_asked_every_fifteen_seconds(
    breakers: Breakers, now: list[float]
) -> None:
    asked = 0
    for _ in range(6000):
        if breakers.allows("acme"):
            asked += 1
            breakers.record("acme", "overloaded")
        now[0] += 0.1
    assert asked <= FAILURES + 600 / PAUSE
    assert asked >= FAILURES + 600 / PAUSE - 3


def test_a_call_that_was_sent_before_the_probe_neither_frees_nor_fails_it(breakers: Breakers, now: list[float]) -> None:
    break_(breakers)
    sent = now[0]
    now[0] += PAUSE
    assert breakers.allows("acme")
    breakers.release("acme", sent)
    breakers.record("acme", "cancelled", sent)
    breakers.record("acme", "timeout", sent)
    assert not breakers.allows("acme")
    breakers.record("acme", "cancelled", now[0])
    assert breakers.allows("acme")


def test_once_the_probes_answer_has_begun_the_others_need_not_wait_for_its_end(
    breakers: Breakers, now: list[float]
) -> None:
    break_(breakers)
    now[0] += PAUSE
    assert breakers.allows("acme")
    breakers.begun("acme")
    assert [breakers.allows("acme") for _ in range(3)] == [True, True, True]
    break_(breakers, FAILURES - 1)
    breakers.begun("acme")  # of a call that was no probe: what failed since still counts
    break_(breakers, 1)
    assert breakers.is_open("acme")
