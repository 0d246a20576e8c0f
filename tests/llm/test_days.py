"""Budgets over midnight and over months: a call is of one day, in every sum, and a run keeps what it had left."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest
from faults.asking import ask, failing, rows
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import BudgetExceeded
from mcp_llm.llm.ledger import Entry, Ledger, Scope, Used

if TYPE_CHECKING:
    from faults.asking import Asking

    from mcp_llm.app import App
    from mcp_llm.llm.service import Service

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)  # 3 tokens in, 2 out
PRICES = {"acme:m": {"input": 1, "output": 10}, "other:m": {"input": 1, "output": 10}}
ANSWER = Decimal("0.000023")
SIZE = "[models.m]\noutput = 1000\n"
MIDNIGHT = 1_795_219_200_000  # 2026-11-21T00:00:00Z
DAYS = ("2026-11-20", "2026-11-21")
DAY_MS = 86_400_000


def keep(service: Service, clock: Any) -> Ledger:
    """The service's ledger, by a clock of the test's."""
    service.purse.ledger = Ledger(cast("App", service).store, clock=clock)
    return service.purse.ledger


@pytest.mark.parametrize("settings", [{"budget": {"day_usd": "0.011"}}, {"principals": {"*": {"day_usd": "0.011"}}}])
async def test_a_call_that_ends_after_midnight_is_one_of_the_day_in_which_it_began(
    asking: Asking, settings: dict[str, Any]
) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url, SIZE)
        async with asking.open(prices=PRICES, **settings) as service:
            ledger = keep(service, lambda: MIDNIGHT + 1000 if server.requests else MIDNIGHT - 60_000)
            await ask(service, model)
            await ledger.expire()
            days = [(one.key, one.usd) for one in await ledger.spend("day")]
            limit = Scope("day", DAYS[1], usd=Decimal("0.02"))
            ledger.release(await ledger.reserve([limit], usd=Decimal("0.02"), tokens=1))
    assert days == [(DAYS[0], ANSWER)]


async def test_a_new_day_has_its_whole_budget_while_a_call_of_the_last_one_is_under_way(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url, SIZE)
        async with asking.open(prices=PRICES, budget={"day_usd": "0.011"}) as service:
            now = [MIDNIGHT - 1]
            ledger = keep(service, lambda: now[-1])
            held = await ledger.reserve([Scope("day", DAYS[0], usd=Decimal("0.011"))], usd=Decimal("0.011"), tokens=1)
            assert isinstance(await failing(service, model, max_tokens=1000), BudgetExceeded)
            now.append(MIDNIGHT)
            await ask(service, model, max_tokens=1000)
            ledger.release(held)
            await ledger.expire()
            assert [(await ledger.used("day", one)).usd for one in DAYS] == [Decimal(0), ANSWER]


@pytest.mark.parametrize(("status", "left"), [("waiting", True), ("finished", False)])
async def test_a_run_that_is_gone_on_with_after_months_has_what_it_had_left(
    asking: Asking, status: str, left: bool
) -> None:
    async with asking.open() as service:
        app, now = cast("App", service), [MIDNIGHT]
        journal = await app.journals.create("agent", {}, "local")
        scope = Scope("run", journal.run_id, usd=Decimal(1))
        first = keep(service, lambda: now[-1])
        reservation = await first.reserve([scope], usd=Decimal("0.9"), tokens=1)
        first.commit(reservation, Entry(MIDNIGHT, "acme", "m"), usd=Decimal("0.9"), tokens=1)
        await journal.release()
        await app.store.execute("UPDATE runs SET status = ? WHERE id = ?", (status, journal.run_id))
        now.append(MIDNIGHT + 200 * DAY_MS)
        again = keep(service, lambda: now[-1])
        other = Scope("run", "another", usd=Decimal(1))
        again.release(await again.reserve([other], usd=Decimal(1), tokens=1))  # the first one forgets what is idle
        assert ((await again.used("run", journal.run_id)).usd == Decimal("0.9")) is left


async def test_each_attempt_that_the_vendor_may_bill_is_counted_and_so_is_the_answer_of_another(asking: Asking) -> None:
    """A 200 that breaks off before its first word, thrice; then the next target answers."""
    broken = Reply(headers={"content-type": "text/event-stream"}, framing="chunked", body=b": hi", reset=2)
    with FaultServer([broken]) as first, FaultServer([OK]) as second:
        both = {
            "default": asking.provider("acme", first.url, SIZE),
            "fallbacks": [asking.provider("other", second.url)],
        }
        async with asking.open(prices=PRICES, budget={"day_usd": "1"}, **both) as service:
            ledger = keep(service, lambda: MIDNIGHT)
            answer = await ask(service, max_tokens=1000)
            await ledger.expire()
            used, found = await ledger.used("day", DAYS[1]), await rows(service)
            charged = await service.runs.store.query("SELECT charged FROM ledger ORDER BY id")
    assert answer.provider == "other"
    tries = len(first.requests)
    assert found == [("acme", "disconnected")] * tries + [("other", "ok")]
    assert all(amount > 10_000_000 for (amount,) in charged[:-1])  # 1,000 tokens of output each
    assert charged[-1] == (23_000,)
    total = Decimal(sum(amount for (amount,) in charged)).scaleb(-9)
    assert used == Used(total, used.tokens, tries + 1, Decimal(0), 0, 0)
