"""What a comparison will cost, and how its calls share a budget."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import anyio
import pytest

from mcp_llm.compare import cost
from mcp_llm.compare.cost import Line
from mcp_llm.errors import BudgetExceeded, StoreError
from mcp_llm.llm.allowance import Allowance

pytestmark = pytest.mark.anyio


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def line(per_token: float | None, *, base: float = 0.001, calls: int = 1, longest: int = 100_000, **more: Any) -> Line:
    target = cast("Any", Named("p:m"))
    return Line(target, None if per_token is None else base, per_token or 0.0, 1000, longest, calls, **more)


def test_sums_are_of_what_is_known_and_the_unknown_is_named() -> None:
    found = cost.quote([line(1e-5, calls=3), line(None), line(1e-6, base=0.0, calls=4, verdict=True, turns=2)])
    assert found.model_dump() == {
        "answers": 4,
        "judgements": 4,
        "usd_at_least": pytest.approx(0.003),
        "usd_likely": pytest.approx(0.003 + 0.03 + 0.004),
        "usd_at_most": pytest.approx(0.003 + 3 + 0.8),
        "unpriced": ("p:m",),
    }
    unknown = cost.quote([line(None)])
    assert (unknown.usd_at_least, unknown.usd_likely, unknown.usd_at_most) == (None, None, None)
    assert cost.said(unknown) == "this comparison makes 1 calls at a cost that is not known"


def test_all_answers_get_the_same_length_when_money_is_scarce() -> None:
    lines = [line(1e-5), line(1e-6), line(1e-6, longest=2000)]
    assert cost.longest_answer(lines, 10) is None
    limit = cost.longest_answer(lines, 0.1)
    assert limit is not None

    def total(tokens: int) -> float:
        return sum(one.usd(min(tokens, one.longest)) for one in lines)

    assert total(limit) <= 0.1 < total(limit + 200)


@pytest.mark.parametrize(
    ("usd", "words"),
    [(0, "$0"), (0.000066, "$0.000066"), (0.00123, "$0.00123"), (0.5, "$0.5"), (1234.5, "$1,234.50")],
)
def test_an_amount_has_no_exponent(usd: float, words: str) -> None:
    assert cost.dollars(usd) == words


def test_what_will_probably_not_fit_is_refused_with_the_figures() -> None:
    with pytest.raises(BudgetExceeded, match=r"makes 1 calls, about \$0.011, at most \$1.00; the budget is \$0.01\. "):
        cost.longest_answer([line(1e-5)], 0.01)


class Used:
    """A ledger that has charged what the test says."""

    def __init__(self) -> None:
        self.usd = Decimal(0)

    async def used(self, kind: str, key: str) -> Used:
        return self


async def test_a_call_that_does_not_fit_waits_for_one_that_ends() -> None:
    ledger = Used()
    allowance = Allowance(Decimal("1"), cast("Any", ledger), "run")
    running = most = done = 0

    async def call() -> None:
        nonlocal running, most, done
        async with allowance.take(0.4):
            running += 1
            most = max(most, running)
            await anyio.lowlevel.checkpoint()
            ledger.usd += Decimal("0.05")
            running -= 1
            done += 1

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(call)
    assert (most, done) == (2, 10)


async def test_what_cannot_be_counted_keeps_nobody_waiting() -> None:
    class Failing(Used):
        async def used(self, kind: str, key: str) -> Used:
            raise StoreError("the disk failed")

    allowance = Allowance(Decimal("1"), cast("Any", Failing()), "run")
    told: list[str] = []

    async def call() -> None:
        try:
            async with allowance.take(0.9):
                await anyio.lowlevel.checkpoint()
        except StoreError as exc:
            told.append(str(exc))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(call)
    assert told == ["the disk failed"] * 3


async def test_alone_a_call_starts_whatever_it_may_cost() -> None:
    allowance = Allowance(Decimal("0.1"), cast("Any", Used()), "run")
    with anyio.fail_after(60):
        async with allowance.take(5.0):
            pass
        async with Allowance(None, cast("Any", Used()), "run").take(5.0), allowance.take(None):
            pass
