"""What an order may cost is held until it has ended, whoever looks, and however often everything was restarted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from faults.server import FaultServer, Reply

from mcp_llm.errors import BudgetExceeded, Disconnected, ProviderError
from mcp_llm.llm import reservation as rules
from mcp_llm.llm.ledger import Used, day
from mcp_llm.llm.standing import LONGEST_MS

from .test_orders import ANSWER, ENDED, ITEMS, MADE, PRICE, RESULTS, WIRES, drive, lines, orders, say

if TYPE_CHECKING:
    from faults.asking import Asking

    from mcp_llm.batch.orders import Orders
    from mcp_llm.llm.service import Service

pytestmark = pytest.mark.anyio
CAP = {"day_usd": "0.2"}
"""Enough for one order of three items, which may cost $0.15, and not for two."""
UNUSED = Used(Decimal(0), 0, 0, Decimal(0), 0, 0)
HELD = Decimal("0.1500495")
ASKED = {"model": "gate:m"}


async def today(service: Service) -> Used:
    return await service.purse.ledger.used("day", day(time.time_ns() // 1_000_000))


async def refused(made: Orders) -> str:
    with pytest.raises(BudgetExceeded) as caught:
        await made.submit(ITEMS, ASKED)
    return str(caught.value)


async def test_an_open_order_is_held_over_restarts_and_replaced_by_what_it_cost(asking: Asking) -> None:
    with FaultServer([*MADE, ENDED, *RESULTS, *MADE]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget=CAP) as service:
            run_id, _ = await orders(service).submit(ITEMS, ASKED)
        async with asking.open(budget=CAP) as service:
            made = orders(service)
            held = await today(service)
            assert "0.1500495 USD held" in await refused(made)
            await (await made.runs.claim(run_id)).release()
            claimed = await today(service)
            await drive(made, run_id)
            spent = await today(service)
            await made.submit(ITEMS, ASKED)
            (row,) = await service.purse.ledger.spend("operation")
    assert (held.usd, held.held_usd, held.held_calls) == (Decimal(0), HELD, 3)
    assert claimed == held
    assert (spent.usd, spent.held_usd, spent.held_calls) == (Decimal("0.000203"), Decimal(0), 0)
    assert (spent.tokens, spent.held_tokens, spent.calls) == (10, 0, 3)
    assert (row.key, row.calls, row.usd, row.charged) == ("batch", 3, Decimal("0.000203"), Decimal("0.000203"))


async def test_two_that_order_at_once_do_not_pass_the_days_cap_together(asking: Asking) -> None:
    with FaultServer([*MADE, *MADE]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        outcomes: list[str] = []

        async def one(made: Orders) -> None:
            try:
                outcomes.append((await made.submit(ITEMS, ASKED))[1].id)
            except BudgetExceeded:
                outcomes.append("refused")

        async with (
            asking.open(budget=CAP) as first,
            asking.open(budget=CAP) as second,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(one, orders(first))
            tasks.start_soon(one, orders(second))
    assert sorted(outcomes) == ["batch_1", "refused"]
    assert len(server.requests) == 2


def test_two_processes_that_order_at_once_do_not_pass_the_days_cap_together(asking: Asking) -> None:
    """Two real processes, three orders each, over one database; the cap has room for three."""
    with FaultServer([say({"id": "batch_1", "status": "validating"})]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        (asking.home / "mcp_llm.toml").write_text('discover = false\n[budget]\nday_usd = "0.5"\n')
        command = [sys.executable, str(Path(__file__).with_name("ordering.py")), "3"]
        env = {**os.environ, **asking.environment}
        with ExitStack() as stack:
            both = [
                stack.enter_context(
                    subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                )
                for _ in range(2)
            ]
            for one in both:
                assert one.stdout is not None
                assert one.stdout.readline() == "ready\n"
            for one in both:
                assert one.stdin is not None
                one.stdin.write("\n")
                one.stdin.flush()
            said = sorted(word for one in both for word in one.communicate(timeout=60)[0].split())
    assert said == ["refused"] * 3 + ["taken"] * 3
    assert sorted(one.target for one in server.requests) == ["/batches"] * 3 + ["/files"] * 3
    assert anyio.run(held_on_disk, asking) == (3 * HELD, Decimal(0))


async def held_on_disk(asking: Asking) -> tuple[Decimal, Decimal]:
    async with asking.open() as service:
        used = await today(service)
    return used.held_usd, used.usd


async def test_an_order_that_was_refused_or_failed_holds_nothing(asking: Asking) -> None:
    failed = say({"id": "batch_1", "status": "failed", "errors": {"data": [{"message": "no such model"}]}})
    with FaultServer([MADE[0], say({}, 400), say({}, 503), *MADE, failed]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget=CAP) as service:
            made = orders(service)
            for _ in range(2):  # the vendor says no; the file does not even arrive
                with pytest.raises(ProviderError):
                    await made.submit(ITEMS, ASKED)
                assert (await today(service)).held_usd == 0
            run_id, _ = await made.submit(ITEMS, ASKED)
            with pytest.raises(ProviderError, match="no such model"):
                await drive(made, run_id)
            info = await made.runs.get(run_id, "local")
            used = await today(service)
    assert (info.status, used) == ("failed", UNUSED)


async def test_an_order_that_may_have_left_stays_spent_at_its_worst(asking: Asking) -> None:
    with FaultServer([MADE[0], Reply(reset="headers")]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget=CAP) as service:
            with pytest.raises(Disconnected):
                await orders(service).submit(ITEMS, ASKED)
            used = await today(service)
            (row,) = await service.purse.ledger.spend("operation")
    assert (used.usd, used.held_usd) == (HELD, Decimal(0))
    assert (row.calls, row.failed, row.usd, row.charged) == (1, 1, None, HELD)


async def test_a_caller_who_goes_before_the_order_leaves_has_the_money_back(asking: Asking) -> None:
    with FaultServer([Reply(hang="headers")]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget=CAP) as service:
            made = orders(service)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(made.submit, ITEMS, ASKED)
                await anyio.to_thread.run_sync(server.wait_request, 20.0)
                tasks.cancel_scope.cancel()
            used = await today(service)
            (info,) = await made.runs.list("local")
    assert (info.status, used.usd, used.held_usd) == ("cancelled", Decimal(0), Decimal(0))


async def test_a_cap_that_is_set_while_an_order_is_open_counts_it(asking: Asking) -> None:
    with FaultServer([*MADE, ENDED, *RESULTS, *MADE]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open() as service:
            run_id, _ = await orders(service).submit(ITEMS, ASKED)
        async with asking.open(budget=CAP) as service:
            made = orders(service)
            assert "0.1500495 USD held" in await refused(made)
            await drive(made, run_id)
            await made.submit(ITEMS, ASKED)
            used = await today(service)
    assert (used.usd, used.held_usd) == (Decimal("0.000203"), HELD)


async def test_answers_of_unknown_cost_keep_the_order_at_its_worst(asking: Asking) -> None:
    mute = {key: value for key, value in ANSWER.items() if key != "usage"}
    answers = lines(
        {"custom_id": "i0", "response": {"status_code": 200, "body": ANSWER}},
        {"custom_id": "i1", "response": {"status_code": 200, "body": mute}},
        {"custom_id": "i2", "response": {"status_code": 200, "body": {"neither": "here nor there"}}},
    )
    ended = say({"id": "batch_1", "status": "completed", "output_file_id": "out"})
    with FaultServer([*MADE, ended, answers]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget=CAP) as service:
            made = orders(service)
            run_id, _ = await made.submit(ITEMS, ASKED)
            await drive(made, run_id)
            used = await today(service)
            (row,) = await service.purse.ledger.spend("operation")
    assert (used.usd, used.held_usd, used.calls) == (HELD, Decimal(0), 3)
    assert (row.calls, row.unpriced, row.charged) == (3, 2, HELD)


async def test_an_order_that_nobody_collects_is_spent_once_its_results_are_gone(asking: Asking) -> None:
    with FaultServer([*MADE]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget=CAP) as service:
            app: Any = service
            await orders(service).submit(ITEMS, ASKED)
            now = time.time_ns() // 1_000_000
            await app.runs.store.write(lambda connection: rules.expire(connection, now + LONGEST_MS - 60_000))
            before = await today(service)
            await app.runs.store.write(lambda connection: rules.expire(connection, now + LONGEST_MS + 60_000))
            after = await today(service)
            kinds = await app.runs.store.query("SELECT operation, outcome, model FROM ledger")
    assert (before.usd, before.held_usd, after.usd, after.held_usd) == (0 * HELD, HELD, HELD, 0 * HELD)
    assert kinds == [("batch", "unknown", "gate:m")]


async def test_no_item_of_an_order_costs_more_than_a_call_may(asking: Asking) -> None:
    with FaultServer([*MADE]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget={"call_usd": "0.04"}) as service:
            with pytest.raises(BudgetExceeded, match=r"item 1 may cost \$0\.0500, a call \$0\.0400"):
                await orders(service).submit(ITEMS, ASKED)
    assert server.requests == []
