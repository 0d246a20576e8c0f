"""Who ends the run of an order means the order: the vendor is told, and what is not spent is free once it has ended."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread
import pytest
from batch.test_orders import ANSWER, ENDED, ITEMS, MADE, PRICE, RESULTS, RUNNING, WIRES, lines, orders, say
from faults.server import FaultServer, Reply

from mcp_llm.errors import Conflict, ProviderError
from mcp_llm.llm.ledger import day
from mcp_llm.runs.resume import drive as driven
from mcp_llm.server import resumable
from mcp_llm.types.events import JobEvent, Start

if TYPE_CHECKING:
    from faults.asking import Asking

    from mcp_llm.app import App
    from mcp_llm.llm.ledger import Used
    from mcp_llm.llm.service import Service

pytestmark = pytest.mark.anyio
CAP = {"day_usd": "0.2"}
HELD = Decimal("0.1500495")
ASKED = {"model": "gate:m"}
STOPPING = say({"id": "batch_1", "status": "cancelling"})
STOPPED = say({"id": "batch_1", "status": "cancelled", "output_file_id": "out"})
FIRST = lines({"custom_id": "i0", "response": {"status_code": 200, "body": ANSWER}})
STOP = ("POST", "/batches/batch_1/cancel")


async def today(service: Service) -> Used:
    return await service.purse.ledger.used("day", day(time.time_ns() // 1_000_000))


def ready(service: Service) -> App:
    app = cast("App", service)
    resumable.register(app)
    return app


def stops(server: FaultServer) -> int:
    return [(one.method, one.target) for one in server.requests].count(STOP)


async def test_an_order_that_nobody_drives_is_ended_at_the_vendor_and_frees_what_is_not_spent(asking: Asking) -> None:
    with FaultServer([*MADE, STOPPING, STOPPED, STOPPED, FIRST]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget=CAP) as service:
            run_id, _ = await orders(service).submit(ITEMS, ASKED)
        async with asking.open(budget=CAP) as service:
            app = ready(service)
            info, words = await app.resumers.cancel(app.journals, run_id, "local")
            used = await today(service)
            again = await app.resumers.cancel(app.journals, run_id, "local")
    assert (info.status, info.result["answered"], words, stops(server)) == ("cancelled", 1, None, 1)
    assert (used.held_usd, Decimal(0) < used.usd < HELD) == (Decimal(0), True)
    assert again == (info, None)


async def test_an_order_that_the_vendor_winds_down_stays_open_until_it_has(asking: Asking) -> None:
    with FaultServer([*MADE, STOPPING, STOPPING, STOPPING, STOPPED, FIRST]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget=CAP) as service:
            app, made = ready(service), orders(service)
            run_id, _ = await made.submit(ITEMS, ASKED)
            info, words = await app.resumers.cancel(app.journals, run_id, "local")
            held = await today(service)
            await driven(made, await app.journals.claim(run_id))  # as a server does unasked
            after, used = await app.journals.get(run_id, "local"), await today(service)
    assert (info.status, held.held_usd) == ("interrupted", HELD)
    assert words is not None
    assert words.startswith("gate was asked to stop and has not ended it yet.")
    assert f"`mcp-llm batch collect {run_id}`" in words
    assert (after.status, after.result["answered"], used.held_usd) == ("cancelled", 1, Decimal(0))


async def test_a_vendor_that_cannot_be_told_leaves_the_order_as_it_is_and_says_what_to_do(asking: Asking) -> None:
    with FaultServer([*MADE, say({"error": {"message": "bad key"}}, 401), ENDED, *RESULTS]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget=CAP) as service:
            app, made = ready(service), orders(service)
            run_id, _ = await made.submit(ITEMS, ASKED)
            with pytest.raises(ProviderError, match=r"not be told to stop \(.*bad key.*Cancel it again when"):
                await app.resumers.cancel(app.journals, run_id, "local")
            assert (await today(service)).held_usd == HELD
            await driven(made, await app.journals.claim(run_id))
            assert (await app.journals.get(run_id, "local")).status == "finished"


async def test_an_order_that_had_ended_by_then_is_collected(asking: Asking) -> None:
    gone = say({"error": {"message": "it has completed"}}, 409)
    with FaultServer([*MADE, gone, ENDED, ENDED, *RESULTS]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget=CAP) as service:
            app = ready(service)
            run_id, _ = await orders(service).submit(ITEMS, ASKED)
            info, words = await app.resumers.cancel(app.journals, run_id, "local")
            assert (info.status, info.result["answered"], words) == ("finished", 2, None)
            assert (await today(service)).held_usd == 0


async def test_an_order_that_is_waited_for_ends_with_what_was_answered(asking: Asking) -> None:
    with FaultServer([*MADE, RUNNING, STOPPING, STOPPED, STOPPED, FIRST]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget=CAP) as service:
            app, made = ready(service), orders(service)
            told = anyio.Event()

            async def until_told(_: float) -> None:
                await told.wait()

            service.llm.sleep = until_told
            run_id, _ = await made.submit(ITEMS, ASKED)
            journal = await app.journals.claim(run_id)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(driven, made, journal)
                for _ in range(3):
                    await anyio.to_thread.run_sync(server.wait_request, 20.0)
                _, words = await app.resumers.cancel(app.journals, run_id, "local")
                assert words is not None
                told.set()
            info = await app.journals.get(run_id, "local")
            assert (info.status, info.result["answered"], stops(server)) == ("cancelled", 1, 1)
            assert (await today(service)).held_usd == 0


async def test_of_an_order_that_may_have_left_it_says_so(asking: Asking) -> None:
    with FaultServer([Reply(status=500)]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open() as service:
            app = ready(service)
            journal = await app.journals.create("batch", {"model": "gate:m", "ids": ["a"]}, "local", model="gate:m")
            await journal.append(Start(prompt="1 requests"), JobEvent(state="submitting", provider="gate", model="m"))
            with pytest.raises(Conflict, match="cancel it again in a while"):
                await app.resumers.cancel(app.journals, journal.run_id, "local")
            await journal.release()
            info, words = await app.resumers.cancel(app.journals, journal.run_id, "local")
    assert (info.status, server.requests) == ("cancelled", [])
    assert words is not None
    assert "gate's own list" in words
