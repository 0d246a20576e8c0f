"""Orders over real sockets: made, asked for, collected by whichever process comes first; never made twice."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm.batch.collect import collected
from mcp_llm.batch.items import Item
from mcp_llm.batch.orders import Orders
from mcp_llm.errors import AuthError, BudgetExceeded, Conflict, Disconnected, InvalidInput, TooLarge, Unsupported
from mcp_llm.llm.ledger import Entry, day
from mcp_llm.types.events import JobEvent
from mcp_llm.wires.batch.contract import Result

if TYPE_CHECKING:
    from faults.asking import Asking

    from mcp_llm.app import App
    from mcp_llm.llm.service import Service
    from mcp_llm.store.sqlite import Store
    from mcp_llm.types.events import Event

pytestmark = pytest.mark.anyio
ITEMS = [Item(name, at, {"prompt": f"say {name}"}) for at, name in enumerate(("a", "b", "c"), 1)]
WIRES = '[wires]\nchat = "openai"\nbatch = "openai"\n'
PRICE = "[models.m]\noutput = 1000\nprice = { input = 1.0, output = 100.0, source = 'x', checked = 2026-11-01 }\n"
ANSWER: dict[str, Any] = json.loads(ok("openai").body)


def say(data: Any, status: int = 200) -> Reply:
    return Reply(status=status, body=json.dumps(data).encode())


def lines(*values: Any) -> Reply:
    return Reply(body="".join(json.dumps(one) + "\n" for one in values).encode())


MADE = (say({"id": "file-1"}), say({"id": "batch_1", "status": "validating"}))
RUNNING = say({"id": "batch_1", "status": "in_progress", "request_counts": {"total": 3, "completed": 1, "failed": 0}})
ENDED = say({"id": "batch_1", "status": "completed", "output_file_id": "out", "error_file_id": "err"})
RESULTS = (
    lines(
        {"custom_id": "i2", "response": {"status_code": 200, "body": ANSWER}},
        {"custom_id": "i0", "response": {"status_code": 200, "body": ANSWER}},
    ),
    lines({"custom_id": "i1", "response": {"status_code": 400, "body": {"error": {"message": "too bad"}}}}),
)


def orders(service: Service, **how: Any) -> Orders:
    app = cast("App", service)
    return Orders(app, app.journals, **how)


class Overtaken:
    """A sink: once the vendor is done, before anything is collected, another process takes the run."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self._run_id = store, run_id

    def emit(self, event: Event) -> None:
        if isinstance(event, JobEvent):
            self._store.send(
                lambda connection: connection.execute("UPDATE runs SET fence = fence + 1 WHERE id = ?", (self._run_id,))
            )


async def drive(made: Orders, run_id: str) -> dict[str, Any]:
    journal = await made.runs.claim(run_id)
    with anyio.fail_after(60):
        found = await made.drive(journal)
    await journal.release()
    return found


async def test_an_order_is_collected_by_another_process_at_half_the_price(asking: Asking) -> None:
    with FaultServer([*MADE, RUNNING, say({}, 503), ENDED, *RESULTS]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open() as service:
            run_id, state = await orders(service).submit(ITEMS, {"model": "gate:m", "max_tokens": 50})
            assert (state.id, state.status) == ("batch_1", "running")
        async with asking.open() as service:
            app = cast("App", service)
            assert (await app.journals.get(run_id, "local")).status == "interrupted"
            result = await drive(orders(service), run_id)
            info = await app.journals.get(run_id, "local")
            events = [event.event for event in await app.journals.events(run_id)]
            with app.artifacts.open(result["results"]["sha256"]) as file:
                records = [json.loads(line) for line in file.read().splitlines()]
            spent = await service.purse.ledger.spend("provider")
    assert [request.target for request in server.requests] == [
        *("/files", "/batches", "/batches/batch_1", "/batches/batch_1", "/batches/batch_1"),
        *("/files/out/content", "/files/err/content"),
    ]
    assert [(one["id"], one["status"]) for one in records] == [("a", "ok"), ("b", "error"), ("c", "ok")]
    assert (records[0]["response"], records[0]["usage"]["input"]) == ("Hello there", 3)
    assert records[0]["cost"]["usd"] == (3 * 1 + 2 * 100) / 2 / 1e6
    assert (records[1]["error"]["kind"], "too bad" in records[1]["error"]["message"]) == ("bad_request", True)
    assert (result["answered"], result["failed"], info.status) == (2, 1, "finished")
    assert events == ["start", "job", "job", "resumed", "job", "job", "finish"]
    assert spent[0].usd == Decimal("0.000203")
    assert asking.waits == [5.0, 7.5]


async def test_looking_once_leaves_the_run_as_it_is(asking: Asking) -> None:
    with FaultServer([*MADE, RUNNING]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            run_id, _ = await orders(service).submit(ITEMS, {"model": "gate:m"})
            assert await drive(orders(service, wait=False), run_id) == {}
            assert (await cast("App", service).journals.get(run_id, "local")).status == "interrupted"


async def test_an_order_that_may_have_left_is_not_made_again(asking: Asking) -> None:
    with FaultServer([MADE[0], Reply(reset="headers")]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            app, made = cast("App", service), orders(service)
            with pytest.raises(Disconnected):
                await made.submit(ITEMS, {"model": "gate:m"})
            (info,) = await app.journals.list("local")
            with pytest.raises(InvalidInput, match="it may be there or not"):
                await made.check(info, again=True)
    assert (info.status, len(server.requests)) == ("failed", 2)


async def test_answers_that_do_not_fit_the_schema_say_so_and_are_kept(asking: Asking) -> None:
    answers = lines({"custom_id": "i0", "response": {"status_code": 200, "body": ANSWER}})
    with FaultServer(
        [*MADE, say({"id": "batch_1", "status": "completed", "output_file_id": "out"}), answers]
    ) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            schema = {"type": "object", "required": ["x"]}
            run_id, _ = await orders(service).submit(ITEMS[:2], {"model": "gate:m", "json_schema": schema})
            result = await drive(orders(service), run_id)
            with cast("App", service).artifacts.open(result["results"]["sha256"]) as file:
                first, second = [json.loads(line) for line in file.read().splitlines()]
    assert (first["status"], first["error"]["kind"], first["response"]) == ("error", "schema_mismatch", "Hello there")
    assert (second["id"], second["error"]["message"]) == ("b", "gate: the batch has no result for this item")


async def test_what_cannot_be_ordered_is_told_before_anything_is_sent(asking: Asking) -> None:
    with FaultServer([Reply(status=500)]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        asking.provider("tight", server.url, WIRES + "[quirks.batch]\nmax_items = 2\n")
        asking.provider("small", server.url, WIRES + "[quirks.batch]\nmax_bytes = 100\n")
        async with asking.open() as service:
            made = orders(service)
            with pytest.raises(Unsupported, match=r"demo has no batches; anthropic, .*gate"):
                await made.submit(ITEMS, {"model": "demo"})
            for name in ("tight", "small"):
                with pytest.raises(TooLarge, match="split them"):
                    await made.submit(ITEMS, {"model": f"{name}:m"})
            with pytest.raises(BudgetExceeded, match=r"may cost \$0\.15"):
                await made.submit(ITEMS, {"model": "gate:m"}, budget_usd=Decimal("0.1"))
            with pytest.raises(BudgetExceeded, match="price of tight:m is not known"):
                await made.submit(ITEMS[:2], {"model": "tight:m"}, budget_usd=Decimal(1))
            with pytest.raises(InvalidInput, match="item 1 names a model of its own"):
                await made.submit([Item("a", 1, {"prompt": "x", "model": "demo"})], {"model": "gate:m"})
    assert server.requests == []


async def test_a_key_that_is_refused_fails_the_order(asking: Asking) -> None:
    with FaultServer([say({"error": {"message": "bad key"}}, 401)]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            with pytest.raises(AuthError):
                await orders(service).submit(ITEMS, {"model": "gate:m"})
            (info,) = await cast("App", service).journals.list("local")
    assert info.status == "failed"


async def test_an_order_whose_caller_goes_is_driven_by_nobody(asking: Asking) -> None:
    with FaultServer([MADE[0], Reply(hang="headers")]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            app, made = cast("App", service), orders(service)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(made.submit, ITEMS, {"model": "gate:m"})
                for _ in range(2):
                    await anyio.to_thread.run_sync(server.wait_request, 20.0)
                tasks.cancel_scope.cancel()
            (info,) = await app.journals.list("local")
            assert (info.status, app.journals.driven(info.id)) == ("interrupted", None)
            with pytest.raises(InvalidInput, match="it may be there or not"):
                await made.check(info, again=True)


async def test_what_the_day_has_spent_is_not_there_for_an_order(asking: Asking) -> None:
    with FaultServer([*MADE]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open(budget={"day_usd": "0.2"}) as service:
            made = orders(service)
            now = time.time_ns() // 1_000_000
            service.purse.ledger.add(Entry(now, "gate", "m", usd=Decimal("0.1")))
            with pytest.raises(BudgetExceeded, match=r"0\.1 USD are spent"):
                await made.submit(ITEMS, {"model": "gate:m"})
            assert server.requests == []
            await made.submit(ITEMS[:1], {"model": "gate:m"})
            used = await service.purse.ledger.used("day", day(now))
    assert (used.usd, used.held_usd, used.held_calls) == (Decimal("0.1"), Decimal("0.0500165"), 1)


async def test_what_a_killed_collector_had_counted_is_not_counted_twice(asking: Asking) -> None:
    with FaultServer([*MADE, ENDED, *RESULTS, ENDED, *RESULTS]) as server:
        asking.provider("gate", server.url, PRICE + WIRES)
        async with asking.open() as service:
            app, made = cast("App", service), orders(service)
            run_id, _ = await made.submit(ITEMS, {"model": "gate:m", "max_tokens": 50})
            first = await app.journals.claim(run_id)
            first.listen(Overtaken(app.runs.store, run_id))
            with anyio.fail_after(60), pytest.raises(Conflict):
                await made.drive(first)
            await app.runs.store.execute("UPDATE runs SET owner = NULL WHERE id = ?", (run_id,))
            await drive(made, run_id)
            spent = await service.purse.ledger.spend("provider")
    assert [(one.calls, one.usd) for one in spent] == [(3, Decimal("0.000203"))]


async def test_others_have_their_turn_while_many_answers_are_read(asking: Asking) -> None:
    asking.provider("gate", "http://127.0.0.1:1", WIRES)
    names = [f"n{number}" for number in range(300)]
    results = {f"i{number}": Result(f"i{number}", 200, ANSWER) for number in range(300)}
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with asking.open() as service:
        journal = await cast("App", service).journals.create("batch", {}, "local")
        target = (await service.plan("gate:m", None)).targets[0]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            seen = 0

            class Slow(dict[str, Result]):
                """Says how many turns the other had before the last answer was looked at."""

                def get(self, key: str, default: Any = None) -> Any:
                    nonlocal seen
                    seen = turns
                    return super().get(key, default)

            await collected(service, names, None, Slow(results), target, Decimal(1), journal)
            tasks.cancel_scope.cancel()
        await journal.release()
    assert seen >= 250


async def test_a_cancelled_batch_gives_what_it_has(asking: Asking) -> None:
    cancelled = say({"id": "batch_1", "status": "cancelled", "output_file_id": "out"})
    answers = lines({"custom_id": "i0", "response": {"status_code": 200, "body": ANSWER}})
    with FaultServer([*MADE, say({"id": "batch_1"}), cancelled, cancelled, answers]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            made = orders(service)
            run_id, _ = await made.submit(ITEMS, {"model": "gate:m"})
            assert (await made.cancel(run_id)).status == "cancelled"
            result = await drive(made, run_id)
            info = await cast("App", service).journals.get(run_id, "local")
    assert (result["answered"], result["failed"], info.status) == (1, 2, "cancelled")
    assert server.requests[2].target == "/batches/batch_1/cancel"
