"""The ledger and its budgets: nothing unknown is free, and no crowd of callers can overshoot."""

from __future__ import annotations

import subprocess
import sys
import threading
import time as clock
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from llm.spending import BUDGET, NOW, TODAY, run_together, spent

from mcp_llm.errors import BudgetExceeded, StoreError
from mcp_llm.llm.ledger import LEASE_SECONDS, Entry, Ledger, Scope, Spend, Used, day
from mcp_llm.store.sqlite import Store
from mcp_llm.store.writer import Job

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

CENT = Decimal("0.01")


@pytest.fixture
def time() -> list[int]:
    """The clock: its last element is now."""
    return [NOW]


@pytest.fixture
def ledger(store: Store, time: list[int]) -> Ledger:
    return Ledger(store, clock=lambda: time[-1])


def call(usd: str | None = None, *, ts: int = NOW, tokens: int | None = None, **names: str) -> Entry:
    given: dict[str, Any] = {"provider": "acme", "model": "m", **names}
    return Entry(ts, usd=None if usd is None else Decimal(usd), input=tokens, output=tokens and 0, **given)


def used(usd: str = "0", tokens: int = 0, calls: int = 0, held: tuple[str, int, int] = ("0", 0, 0)) -> Used:
    return Used(Decimal(usd), tokens, calls, Decimal(held[0]), held[1], held[2])


async def test_a_day_is_named_in_utc() -> None:
    assert (day(NOW), day(NOW - 1), day(0)) == (TODAY, "2026-11-19", "1970-01-01")


async def test_spend_is_summed_per_group_with_unknown_prices_told_apart(ledger: Ledger) -> None:
    ledger.add(call("0.25", tokens=10))
    ledger.add(call("0.5", tokens=20, outcome="timeout"))
    ledger.add(call(None, model="new"))
    assert await ledger.spend("model") == [
        Spend("acme:m", 2, 1, 30, 0, None, None, Decimal("0.75"), 0, Decimal("0.75")),
        Spend("acme:new", 1, 0, None, None, None, None, None, 1, Decimal(0)),
    ]
    assert [(row.key, row.calls) for row in await ledger.spend("provider")] == [("acme", 3)]


async def test_spend_groups_by_day_hour_context_and_run(ledger: Ledger) -> None:
    ledger.add(call("1", ts=NOW - 1, context="a", run_id="r1"))
    ledger.add(call("2", ts=NOW + 3_600_000, context="b"))
    assert [row.key for row in await ledger.spend("day")] == [TODAY, "2026-11-19"]
    assert [row.key for row in await ledger.spend("hour")] == ["2026-11-20T01:00Z", "2026-11-19T23:00Z"]
    assert [row.key for row in await ledger.spend("context")] == ["b", "a"]
    assert [row.key for row in await ledger.spend("run")] == ["", "r1"]
    assert [row.usd for row in await ledger.spend(since=NOW)] == [Decimal(2)]
    assert [row.usd for row in await ledger.spend(until=NOW)] == [Decimal(1)]


async def test_a_principal_sees_only_its_own_calls(ledger: Ledger) -> None:
    ledger.add(call("1", principal="a"))
    ledger.add(call("2", principal="b"))
    assert [row.usd for row in await ledger.spend(principal="a")] == [Decimal(1)]


async def test_hostile_names_and_figures_cannot_lower_or_break_a_sum(ledger: Ledger, store: Store) -> None:
    ledger.add(call("1", tokens=5))
    ledger.add(call("-100", tokens=-1_000_000))
    ledger.add(call("1e30", tokens=10**30))
    ledger.add(call("NaN", context='a\n{"ts":0,"cost":-100}' + "x" * 10_000))
    ledger.add(call("0", context="\ud800"))
    [total] = await ledger.spend()
    assert (total.calls, total.usd, total.unpriced, total.input, store.lost) == (5, Decimal(1), 3, 5, 0)


async def test_a_reservation_is_held_until_the_real_figure_takes_its_place(ledger: Ledger) -> None:
    scopes = [Scope("day", TODAY, usd=Decimal(1)), Scope("run", "r", tokens=100)]
    reservation = await ledger.reserve(scopes, usd=Decimal("0.4"), tokens=50)
    assert await ledger.used("day", TODAY) == used(held=("0.4", 50, 1))
    ledger.commit(reservation, call("0.1", tokens=7, run_id="r"))
    assert await ledger.used("day", TODAY) == await ledger.used("run", "r") == used("0.1", 7, 1)
    assert [row.usd for row in await ledger.spend("run")] == [Decimal("0.1")]


@pytest.mark.parametrize(
    ("scope", "limit"),
    [
        (Scope("day", TODAY, usd=Decimal("0.05")), "day.usd"),
        (Scope("run", "r", tokens=99), "run.tokens"),
        (Scope("call", "c", calls=0), "call.calls"),
    ],
)
async def test_a_limit_that_would_be_passed_refuses_and_holds_nothing(ledger: Ledger, scope: Scope, limit: str) -> None:
    roomy = Scope("tree", "t", usd=Decimal(100))
    with pytest.raises(BudgetExceeded) as caught:
        await ledger.reserve([roomy, scope], usd=Decimal("0.06"), tokens=100)
    assert caught.value.limit == limit
    assert await ledger.used("tree", "t") == await ledger.used(scope.kind, scope.key) == used()


async def test_an_unknown_worst_case_is_refused_where_it_is_limited(ledger: Ledger) -> None:
    with pytest.raises(BudgetExceeded, match="worst case for unknown prices"):
        await ledger.reserve([Scope("day", TODAY, usd=Decimal(1))], usd=None, tokens=5)
    with pytest.raises(BudgetExceeded, match="set max_tokens"):
        await ledger.reserve([Scope("day", TODAY, tokens=10)], usd=None, tokens=None)
    await ledger.reserve([Scope("day", TODAY, calls=1)], usd=None, tokens=None)


async def test_an_unknown_real_cost_is_charged_at_the_worst_case_but_shown_as_unknown(ledger: Ledger) -> None:
    reservation = await ledger.reserve([Scope("day", TODAY, usd=Decimal(1))], usd=Decimal("0.3"), tokens=9)
    ledger.commit(reservation, call(None))
    assert await ledger.used("day", TODAY) == used("0.3", 9, 1)
    [total] = await ledger.spend()
    assert (total.usd, total.unpriced, total.charged) == (None, 1, Decimal("0.3"))


async def test_a_failure_known_not_to_be_billed_is_charged_nothing(ledger: Ledger) -> None:
    reservation = await ledger.reserve([Scope("day", TODAY, usd=Decimal(1))], usd=Decimal("0.3"), tokens=9)
    ledger.commit(reservation, call(None, outcome="rate_limited"), usd=Decimal(0), tokens=0)
    assert await ledger.used("day", TODAY) == used("0", 0, 1)


async def test_released_and_settled_reservations_are_settled_once(ledger: Ledger) -> None:
    scope = Scope("day", TODAY, usd=Decimal(1))
    first = await ledger.reserve([scope], usd=CENT, tokens=1)
    ledger.release(first)
    ledger.release(first)
    assert await ledger.used("day", TODAY) == used()
    with pytest.raises(ValueError, match="settled before"):
        ledger.commit(first, call("1"))


async def test_without_limits_nothing_is_reserved_and_the_row_is_written_all_the_same(ledger: Ledger) -> None:
    reservation = await ledger.reserve([Scope("day", TODAY)], usd=None, tokens=None)
    ledger.commit(reservation, call("0.2"))
    assert [row.usd for row in await ledger.spend()] == [Decimal("0.2")]
    assert await ledger.used("day", TODAY) == used()


async def test_a_day_limit_knows_the_calls_made_before_it_was_set_and_those_nobody_reserved(
    ledger: Ledger, store: Store
) -> None:
    ledger.add(call("0.7", tokens=3))
    ledger.add(call("5", ts=NOW - 1))
    scope = Scope("day", TODAY, usd=Decimal(1))
    with pytest.raises(BudgetExceeded):
        await ledger.reserve([scope], usd=Decimal("0.31"), tokens=1)
    ledger.release(await ledger.reserve([scope], usd=Decimal("0.3"), tokens=1))
    ledger.add(call("0.2"))
    await store.flush()
    assert await ledger.used("day", TODAY) == used("0.9", 3, 2)


async def test_a_call_over_midnight_counts_for_the_day_it_was_reserved_on(ledger: Ledger, time: list[int]) -> None:
    reservation = await ledger.reserve([Scope("day", TODAY, usd=Decimal(1))], usd=CENT, tokens=1)
    tomorrow = await ledger.reserve([Scope("day", "2026-11-21", usd=Decimal(1))], usd=CENT, tokens=1)
    ledger.release(tomorrow)
    ledger.commit(reservation, call("0.01", ts=NOW + 86_400_000))
    assert await ledger.used("day", TODAY) == used("0.01", 1, 1)
    assert await ledger.used("day", "2026-11-21") == used()


async def test_what_a_process_knows_of_its_own_calls_is_what_the_disk_says(store: Store, ledger: Ledger) -> None:
    scope = Scope("run", "r", usd=Decimal(1))
    assert await ledger.seen("run", "r") == used()
    first = await ledger.reserve([scope], usd=Decimal("0.5"), tokens=40)
    second = await ledger.reserve([scope], usd=Decimal("0.25"), tokens=7)
    assert await ledger.seen("run", "r") == await ledger.used("run", "r")
    ledger.commit(first, call("0.1", tokens=2, run_id="r"))
    ledger.release(second)
    assert await ledger.seen("run", "r") == await ledger.used("run", "r") == used("0.1", 2, 1)
    other = Ledger(store)
    other.commit(await other.reserve([scope], usd=Decimal("0.5"), tokens=1), call("0.5", tokens=1, run_id="r"))
    assert await ledger.seen("run", "r") == used("0.1", 2, 1)
    with pytest.raises(BudgetExceeded):  # what is known is a hint; the limit is kept on the disk
        await ledger.reserve([scope], usd=Decimal("0.5"), tokens=1)
    assert await ledger.seen("run", "r") == await ledger.used("run", "r") == used("0.6", 3, 2)


async def test_a_call_settled_while_another_is_held_does_not_stay_held_in_what_the_process_knows(
    ledger: Ledger, store: Store
) -> None:
    run = [Scope("run", "r", usd=Decimal(10))]
    first = await ledger.reserve(run, usd=Decimal(1), tokens=None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: ledger.reserve(run, usd=Decimal(1), tokens=None))
        await anyio.lowlevel.checkpoint()
        held = threading.Event()
        store._writer.submit(Job(lambda _: None, held.set))
        assert held.wait(10)  # on disk, and the loop has not heard of it
        ledger.commit(first, call("0.1"))
    assert await ledger.seen("run", "r") == await ledger.used("run", "r") == used("0.1", 0, 1, held=("1", 0, 1))


async def test_a_dead_process_leaves_its_worst_case_spent_and_marked_unknown(
    store: Store, ledger: Ledger, time: list[int]
) -> None:
    scope = Scope("day", TODAY, usd=Decimal(1))
    await ledger.reserve([scope], usd=Decimal("0.9"), tokens=40, entry=call(model="lost", run_id="r"))
    time.append(NOW + LEASE_SECONDS * 1000 + 1)
    survivor = Ledger(store, clock=lambda: time[-1])
    with pytest.raises(BudgetExceeded):
        await survivor.reserve([scope], usd=Decimal("0.2"), tokens=1)
    await survivor.expire()
    assert await survivor.used("day", TODAY) == used("0.9", 40, 1)
    rows = await store.query("SELECT ts, run_id, model, usd, cost_source, outcome, charged FROM ledger")
    assert rows == [(NOW, "r", "lost", None, "worst_case", "unknown", 900_000_000)]


async def test_what_is_held_ahead_is_for_its_own_calls_and_each_takes_its_part_of_it(ledger: Ledger) -> None:
    scopes = [Scope("day", TODAY, usd=Decimal(1))]
    ahead = await ledger.reserve(scopes, usd=Decimal("0.8"), tokens=0, calls=0, ahead=True)
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(scopes, usd=Decimal("0.3"), tokens=1)
    part = await ledger.reserve(scopes, usd=Decimal("0.3"), tokens=1, out_of=ahead)
    assert await ledger.used("day", TODAY) == used(held=("0.8", 1, 1))
    ledger.commit(part, call("0.1", tokens=1))
    assert (await ledger.used("day", TODAY), ahead.usd) == (used("0.1", 1, 1, held=("0.5", 0, 0)), Decimal("0.5"))
    more = await ledger.reserve(scopes, usd=Decimal("0.9"), tokens=1, out_of=ahead)  # the rest is looked for as ever
    ledger.release(ahead)
    ledger.release(more)
    assert await ledger.used("day", TODAY) == used("0.1", 1, 1)


async def test_what_a_dead_process_held_ahead_was_not_spent(store: Store, ledger: Ledger, time: list[int]) -> None:
    scopes = [Scope("day", TODAY, usd=Decimal(1))]
    ahead = await ledger.reserve(scopes, usd=Decimal("0.8"), tokens=0, calls=0, ahead=True)
    await ledger.reserve(scopes, usd=Decimal("0.3"), tokens=4, out_of=ahead)
    time.append(NOW + LEASE_SECONDS * 1000 + 1)
    survivor = Ledger(store, clock=lambda: time[-1])
    await survivor.expire()
    assert await survivor.used("day", TODAY) == used("0.3", 4, 1)  # what a call of it may have cost
    ledger.release(ahead)
    assert await survivor.used("day", TODAY) == used("0.3", 4, 1)


KILLED = """
import sys, anyio
from decimal import Decimal
from pathlib import Path
from mcp_llm.llm.ledger import Entry, Ledger, Scope
from mcp_llm.store.sqlite import Store

async def main():
    ledger = Ledger(Store.open(Path(sys.argv[1])))
    entry = Entry(1795132800000, "acme", "lost", outcome="unknown", run_id="r")
    held = await ledger.reserve([Scope("run", "r", usd=Decimal(1))], usd=Decimal("0.9"), tokens=40, entry=entry)
    print("asked", flush=True)
    sys.stdin.readline()
    ledger.commit(held, Entry(1795132800000, "acme", "lost", usd=Decimal("0.1")))
anyio.run(main)
"""


def kill_before_commit(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"asked\n"
        child.kill()


async def test_killed_between_the_reply_and_its_row_the_worst_case_is_spent(path: Path) -> None:
    kill_before_commit(path)
    store = Store.open(path)
    later = Ledger(store, clock=lambda: clock.time_ns() // 1_000_000 + LEASE_SECONDS * 1000 + 1)
    assert (await later.used("run", "r")).held_usd == Decimal("0.9")
    await later.expire()
    assert await later.used("run", "r") == used("0.9", 40, 1)
    rows = await store.query("SELECT model, usd, cost_source, outcome, charged FROM ledger")
    assert rows == [("lost", None, "worst_case", "unknown", 900_000_000)]
    store.close()


async def test_what_a_dead_process_held_is_not_held_for_as_long_as_the_clock_was_set_back(
    store: Store, ledger: Ledger, time: list[int]
) -> None:
    scope = Scope("run", "r", usd=Decimal(1))
    await ledger.reserve([scope], usd=Decimal("0.9"), tokens=40)
    time.append(NOW - 3_600_000)
    survivor = Ledger(store, clock=lambda: time[-1])
    await survivor.expire()
    assert await survivor.used("run", "r") == used("0.9", 40, 1)


async def test_a_process_that_was_only_stopped_puts_the_real_figure_in_place(
    store: Store, ledger: Ledger, time: list[int]
) -> None:
    scopes = [Scope("run", "r", usd=Decimal(1))]
    ledger.release(await ledger.reserve([Scope("day", TODAY, usd=Decimal(1))], usd=CENT, tokens=1))
    reservation = await ledger.reserve(scopes, usd=Decimal("0.9"), tokens=40)
    time.append(NOW + LEASE_SECONDS * 1000 + 1)
    await Ledger(store, clock=lambda: time[-1]).expire()
    assert await ledger.used("day", TODAY) == await ledger.used("run", "r") == used("0.9", 40, 1)
    ledger.commit(reservation, call("0.1", tokens=2, run_id="r"))
    assert await ledger.used("day", TODAY) == await ledger.used("run", "r") == used("0.1", 2, 1)
    assert await store.query("SELECT outcome, charged FROM ledger") == [("ok", 100_000_000)]


@pytest.mark.parametrize("seed", range(8))
async def test_a_hundred_concurrent_callers_never_overshoot(ledger: Ledger, seed: int) -> None:
    total, refused = await spent(ledger, seed)
    assert refused
    assert total <= BUDGET


async def test_four_processes_share_one_daily_budget_to_the_cent(path: Path) -> None:
    done = run_together(path, 4)  # 200 wishes of a cent for one dollar
    store = Store.open(path)
    ledger = Ledger(store)
    assert sum(done) == 100
    assert await ledger.used("day", TODAY) == used("1", 100, 100)
    assert [row.usd for row in await ledger.spend()] == [Decimal(1)]
    store.close()


async def test_after_a_first_reservation_that_failed_the_later_ones_are_renewed_all_the_same(
    ledger: Ledger, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = threading.Event()
    monkeypatch.setattr("mcp_llm.llm.ledger.LEASE_SECONDS", 0.03)
    monkeypatch.setattr(ledger, "_renew", lambda _: renewed.set())
    await store.execute("ALTER TABLE budgets RENAME TO gone")
    with pytest.raises(StoreError):
        await ledger.reserve([Scope("run", "r", usd=CENT)], usd=CENT, tokens=1)
    await store.execute("ALTER TABLE gone RENAME TO budgets")
    held = await ledger.reserve([Scope("run", "r", usd=CENT)], usd=CENT, tokens=1)
    assert await anyio.to_thread.run_sync(renewed.wait, 10)
    ledger.release(held)
