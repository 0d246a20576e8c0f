"""What a talk costs: budgets end it in time, and a turn that was cut off is a row as any other."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_llm.errors import BudgetExceeded, Disconnected
from mcp_llm.talking import realtime

from .test_realtime import CLOSE, GEMINI, OPENAI, PRICE, openai, vendor

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio


async def test_a_budget_ends_it_before_the_turn_that_it_cannot_pay(asking: Asking) -> None:
    async with vendor(openai) as there:
        asking.provider("gate", there.url, PRICE + OPENAI)
        async with asking.open() as service:
            with anyio.fail_after(30):
                with pytest.raises(BudgetExceeded):
                    async with realtime("gate:m", budget_usd=0.05, service=service):
                        pass
                assert there.path == ""
                async with realtime("gate:m", budget_usd=0.0731, service=service) as session:
                    await session.say("one")
                    assert (await session.turn()).text == "Good day"
                    with pytest.raises(BudgetExceeded):
                        await session.turn()
            spent = (await service.purse.ledger.spend("provider"))[0]
    assert spent.usd == Decimal("0.00023")


async def test_a_turn_that_was_cut_off_is_a_row_without_a_budget_too(asking: Asking) -> None:
    half = {"type": "response.output_audio_transcript.delta", "delta": "Good "}
    async with vendor(lambda frame: openai(frame, **{"response.create": [half, CLOSE]})) as there:
        asking.provider("gate", there.url, PRICE + OPENAI)
        async with asking.open() as service:
            with anyio.fail_after(30):
                async with realtime("gate:m", service=service) as session:
                    await session.say("hello")
                    with pytest.raises(Disconnected):
                        await session.turn()
            told = await service.runs.store.query("SELECT operation, outcome, input, usd FROM ledger")
    assert told == [("realtime", "disconnected", None, None)]


@pytest.mark.parametrize("budget", [None, 1.0])
async def test_what_google_had_counted_before_the_cut_is_known(asking: Asking, budget: float | None) -> None:
    def script(frame: Any) -> list[Any]:
        if "setup" in frame:
            return [{"setupComplete": {}}]
        used = {"promptTokenCount": 30, "responseTokenCount": 20, "totalTokenCount": 50}
        return [{"usageMetadata": used, "serverContent": {"modelTurn": {"parts": [{"text": "Good "}]}}}, CLOSE]

    async with vendor(script) as there:
        asking.provider("gate", there.url, PRICE + GEMINI)
        async with asking.open() as service:
            with anyio.fail_after(30):
                async with realtime("gate:m", budget_usd=budget, service=service) as session:
                    await session.say("hello")
                    with pytest.raises(Disconnected):
                        await session.turn()
            told = await service.runs.store.query("SELECT outcome, input, output, usd, charged FROM ledger")
    cost = 30 * 1000 + 20 * 10_000
    worst = (32_000 + 4_096 * 10) * 1000  # what came after that nobody knows
    assert told == [("disconnected", 30, 20, cost, cost if budget is None else worst)]
    assert session.usage.input == 30
