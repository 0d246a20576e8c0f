"""A batch's calls: so many at a time, each item's failure its own, and an end where all that follow would fail."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from faults.asking import Asking, rows
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm.batch.items import Item
from mcp_llm.batch.operation import Batch, Outcome
from mcp_llm.errors import AuthError, BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_llm.llm.service import Service

pytestmark = pytest.mark.anyio
GOOD = ok("openai", stream=True)
BAD = Reply(status=400, body=b'{"error": {"message": "no such thing", "type": "invalid_request_error"}}')
PRICE = "[models.m]\noutput = 1000\nprice = { input = 1.0, output = 1000.0, source = 'x', checked = 2026-11-01 }\n"


def items(count: int, **arguments: Any) -> list[Item]:
    return [Item(str(number), number, {"prompt": f"say {number}", **arguments}) for number in range(1, count + 1)]


async def run(service: Service, given: Any, **how: Any) -> tuple[Batch, list[Outcome]]:
    batch, found = Batch(service, {"model": "gate:m"}, **how), list[Outcome]()
    with anyio.fail_after(60):
        await batch.run(given, found.append)
    return batch, found


async def test_every_item_is_answered_once_and_a_failure_is_its_own(asking: Asking) -> None:
    with FaultServer([GOOD, BAD, GOOD]) as server:
        asking.provider("gate", server.url)
        async with asking.open() as service:
            batch, found = await run(service, items(12), at_once=3)
            told = await rows(service)
    assert (batch.answered, batch.failed, batch.stopped) == (11, 1, None)
    assert sorted(int(one.item.id) for one in found) == list(range(1, 13))
    assert len(server.requests) == len(told) == 12
    records = {one.record()["id"]: one.record() for one in found}
    bad = next(one for one in records.values() if one["status"] == "error")
    assert bad["error"]["kind"] == "bad_request"
    assert "no such thing" in bad["error"]["message"]
    good = next(one for one in records.values() if one["status"] == "ok")
    assert {name: good[name] for name in ("response", "provider", "model", "finish_reason")} == {
        "response": "Hello there",
        "provider": "gate",
        "model": "gate:m",
        "finish_reason": "stop",
    }


async def test_items_are_taken_as_there_is_room(asking: Asking) -> None:
    taken = 0

    def many() -> Iterator[Item]:
        nonlocal taken
        for item in items(50):
            taken += 1
            yield item

    seen: list[int] = []
    with FaultServer([GOOD]) as server:
        asking.provider("gate", server.url)
        async with asking.open() as service:
            batch = Batch(service, {"model": "gate:m"}, at_once=4)
            await batch.run(many(), lambda _: seen.append(taken))
    assert [count - index for index, count in enumerate(seen)] <= [4] * 50
    assert (batch.answered, taken) == (50, 50)


async def test_lines_say_what_is_different_for_them(asking: Asking) -> None:
    with FaultServer([GOOD]) as server:
        asking.provider("gate", server.url)
        async with asking.open() as service:
            given = [Item("a", 1, {"prompt": "x", "model": "demo", "max_tokens": 1}), *items(1)]
            given.append(Item("c", 3, {"prompt": "x", "messages": [{"role": "wizard", "content": "y"}]}))
            _, found = await run(service, given, at_once=1)
    assert [(one.answer.provider if one.answer else str(one.error)[:16]) for one in found] == [
        "demo",
        "gate",
        "messages[0].role",
    ]


async def test_a_budget_ends_it_and_leaves_the_rest_unasked(asking: Asking) -> None:
    with FaultServer([GOOD]) as server:
        asking.provider("gate", server.url, PRICE)
        async with asking.open() as service:
            # Each may cost a dollar and costs a fifth of a cent: two at a time fit, and few are refused in the end.
            batch, found = await run(service, items(2000, max_tokens=1000), at_once=8, budget_usd=Decimal("2.01"))
            spent = await service.purse.ledger.used("run", batch.run_id)
    assert isinstance(batch.stopped, BudgetExceeded)
    assert (batch.failed, len(found)) == (0, batch.answered)
    assert 400 < batch.answered < 1000
    assert spent.usd <= Decimal("2.01")
    assert batch.cost == spent.usd
    assert len(server.requests) == batch.answered


async def test_an_item_with_a_budget_of_its_own_ends_only_itself(asking: Asking) -> None:
    with FaultServer([GOOD]) as server:
        asking.provider("gate", server.url, PRICE)
        async with asking.open() as service:
            given = [
                *items(1, max_tokens=1000),
                Item("dear", 2, {"prompt": "x" * 400, "budget_usd": 0.00001}),
                *items(1),
            ]
            batch, _ = await run(service, given, at_once=1)
    assert (batch.answered, batch.failed, batch.stopped) == (2, 1, None)


async def test_a_provider_that_only_fails_ends_it(asking: Asking) -> None:
    with FaultServer([Reply(status=401, body=b'{"error": {"message": "bad key"}}')]) as server:
        asking.provider("gate", server.url)
        async with asking.open() as service:
            batch, found = await run(service, items(500), at_once=2)
    assert isinstance(batch.stopped, AuthError)
    assert batch.failed == len(found) == 20
    assert len(server.requests) <= 22


async def test_what_the_receiver_raises_ends_it(asking: Asking) -> None:
    def full(_: Outcome) -> None:
        raise OSError("the disk is full")

    with FaultServer([GOOD]) as server:
        asking.provider("gate", server.url)
        async with asking.open() as service:
            with pytest.raises(ExceptionGroup) as caught:
                await Batch(service, {"model": "gate:m"}, at_once=1).run(items(9), full)
    assert [str(one) for one in caught.value.exceptions] == ["the disk is full"]
    assert len(server.requests) == 1
