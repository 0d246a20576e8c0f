"""Budgets around real calls: the worst case is held before, the real figure counted after, unknown is never free."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from faults.asking import ask, failing, rows
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import BudgetExceeded, Error
from mcp_llm.llm import bound
from mcp_llm.llm.generate import Ask, estimate
from mcp_llm.llm.ledger import day
from mcp_llm.types.chat import ChatRequest
from mcp_llm.types.message import Text, user

if TYPE_CHECKING:
    from faults.asking import Asking

    from mcp_llm.llm.service import Service

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)  # 3 tokens in, 2 out
PRICES = {"acme:m": {"input": 1, "output": 10}}
ANSWER = Decimal("0.000023")
SIZE = "[models.m]\noutput = 1000\n"


async def row(service: Service) -> tuple[Any, ...]:
    names = "provider, model, model_used, outcome, input, output, usd, cost_source, charged, run_id, context"
    found = await service.runs.store.query(f"SELECT {names} FROM ledger ORDER BY id DESC LIMIT 1")
    return tuple(found[0])


async def spent(service: Service) -> Decimal:
    return (await service.purse.ledger.used("day", day(int(await now(service))))).usd


async def now(service: Service) -> int:
    found = await service.runs.store.query("SELECT max(ts) FROM ledger")
    return int(found[0][0])


def sent(server: FaultServer) -> list[int | None]:
    return [json.loads(request.body).get("max_tokens") for request in server.requests]


async def test_a_call_has_its_figures_in_the_receipt_and_in_its_row(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(prices=PRICES) as service:
            answer = await ask(service, model, context="notes")
            found = await row(service)
    assert (answer.cost.usd, answer.cost.source) == (0.000023, "user")
    assert (answer.usage.input, answer.usage.output, answer.usage.estimated) == (3, 2, False)
    assert found[:5] == ("acme", "acme:m", "test-model", "ok", 3)
    assert found[5:] == (2, 23_000, "user", 23_000, answer.run_id, "notes")


async def test_an_unknown_price_is_null_and_not_nothing(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model)
            found = await row(service)
    assert answer.cost.model_dump() == {"usd": None, "source": None, "priced_at": None}
    assert (found[6], found[7]) == (None, None)
    assert "cost unknown" in answer.receipt


async def test_tokens_that_the_provider_did_not_count_are_counted_and_marked(asking: Asking) -> None:
    body = json.dumps({"choices": [{"message": {"content": "x" * 40}, "finish_reason": "stop"}]}).encode()
    with FaultServer([Reply(body=body)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(prices=PRICES) as service:
            answer = await ask(service, model)
    assert (answer.usage.output, answer.usage.estimated) == (10, True)
    assert answer.cost.usd is not None
    assert "~" in answer.receipt


async def test_what_the_provider_did_not_count_is_charged_as_much_as_it_can_have_been(asking: Asking) -> None:
    body = json.dumps({"choices": [{"message": {"content": "x" * 40}, "finish_reason": "stop"}]}).encode()
    with FaultServer([Reply(body=body)]) as server:
        model = asking.provider("acme", server.url, SIZE + "[models.deep]\noutput = 1000\ncan = ['reasoning']\n")
        prices = {**PRICES, "acme:deep": PRICES["acme:m"]}
        async with asking.open(prices=prices, budget={"day_usd": "1"}) as service:
            await ask(service, model)
            plain = (await row(service))[8]
            await ask(service, "acme:deep")
            secret = (await row(service))[8]
    read = bound.tokens(ChatRequest(messages=(user(Text("hi")),)), None)
    assert plain == (read + 40 * bound.CHARACTER * 10) * 1000
    assert secret == (read + 1000 * 10) * 1000


async def test_a_prompt_in_any_script_is_held_at_its_worst(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url, SIZE)
        async with asking.open(prices=PRICES) as service:
            error = await failing(service, model, prompt="人人生而平等" * 2000, budget_usd=0.02)
            with pytest.raises(BudgetExceeded, match=r"may cost \$0\.036"):
                raise error
    assert server.requests == []


@pytest.mark.parametrize("usage", [{"prompt_tokens": 3, "completion_tokens": -1_000_000}, {"prompt_tokens": 10**30}])
async def test_absurd_usage_cannot_lower_what_was_spent(asking: Asking, usage: dict[str, int]) -> None:
    answer = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": usage}
    with FaultServer([OK, Reply(body=json.dumps(answer).encode())]) as server:
        model = asking.provider("acme", server.url, SIZE)
        async with asking.open(prices=PRICES, budget={"day_usd": "10"}) as service:
            await ask(service, model)
            before = await spent(service)
            await ask(service, model)
            after = await spent(service)
    assert before == ANSWER
    assert after >= before


async def test_a_budget_lowers_the_answers_length_to_what_it_can_pay(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url, SIZE)
        async with asking.open(prices=PRICES) as service:
            free = await ask(service, model, budget_usd=1)
            clamped = await ask(service, model, budget_usd=0.001)
    assert free.warnings == ()
    [lowered] = [count for count in sent(server) if count is not None]
    assert lowered <= (Decimal("0.001") / Decimal("0.00001"))
    assert lowered >= 90
    assert clamped.warnings == (f"`max_tokens` was set to {lowered} so that the answer cannot cost more than $0.001",)


async def test_a_prompt_that_alone_breaks_the_budget_is_not_sent(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url, SIZE)
        async with asking.open(prices=PRICES) as service:
            error = await failing(service, model, prompt="word " * 5000, budget_usd=0.0001)
            found = await rows(service)
    assert isinstance(error, BudgetExceeded)
    assert error.limit == "usd"
    assert "raise the budget, or ask a cheaper model" in str(error)
    assert (server.requests, found) == ([], [])


async def test_an_unknown_price_under_a_budget_is_refused_unless_a_worst_case_is_set(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model, budget_usd=1)
        async with asking.open(budget={"unknown_usd": "0.4", "day_usd": "1"}) as service:
            answers = [await ask(service, model) for _ in range(2)]
            refused = await failing(service, model)
    assert isinstance(error, BudgetExceeded)
    assert "the price of acme:m is not known" in str(error)
    assert [answer.cost.usd for answer in answers] == [None, None]
    assert isinstance(refused, BudgetExceeded)  # two unknown calls stand for their worst case: 0.8 of 1
    assert len(server.requests) == 2


async def test_a_models_price_on_this_machine_is_nothing_also_under_a_budget(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url, "local = true\n")
        async with asking.open() as service:
            answer = await ask(service, model, budget_usd=0)
    assert (answer.cost.usd, answer.cost.source) == (0.0, "local")


async def test_a_failure_that_costs_nothing_gives_the_money_back(asking: Asking) -> None:
    refusal = Reply(status=400, body=b'{"error":{"message":"no"}}')
    with FaultServer([refusal, OK]) as server:
        model = asking.provider("acme", server.url, SIZE)
        async with asking.open(prices=PRICES, budget={"day_usd": "0.011"}) as service:
            await failing(service, model)
            await ask(service, model)
            assert await spent(service) == ANSWER


async def test_a_refused_connection_costs_nothing(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        url = server.url
    model = asking.provider("acme", url, SIZE)
    async with asking.open(prices=PRICES, budget={"day_usd": "0.011"}) as service:
        error = await failing(service, model)
        assert error.kind == "disconnected"
        assert (await rows(service), await spent(service)) == ([("acme", "disconnected")], Decimal(0))


async def test_a_request_that_may_have_been_billed_stays_charged_at_its_worst(asking: Asking) -> None:
    with FaultServer([Reply(hang="headers")]) as server:
        model = asking.provider("acme", server.url, SIZE)
        async with asking.open(prices=PRICES, budget={"day_usd": "1"}) as service:
            await failing(service, model, timeout_s=0.2)
            assert await spent(service) > Decimal("0.01")  # 1,000 tokens of output


async def test_a_repair_turn_is_paid_from_what_the_first_turn_left(asking: Asking) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    turns = [ok("openai", text="no json", stream=True), ok("openai", text='{"a":1}', stream=True)]
    with FaultServer(turns) as server:
        model = asking.provider("acme", server.url, SIZE)
        async with asking.open(prices=PRICES) as service:
            answer = await ask(service, model, json_schema=schema, budget_usd=0.004)
    first, second = sent(server)
    assert answer.parsed == {"a": 1}
    assert answer.cost.usd == pytest.approx(0.000046)
    assert first is not None
    assert second is not None
    assert second < first


@pytest.mark.parametrize("budget", [{"day_usd": "0.0201"}, {"day_calls": 2}, {"day_tokens": 2100}])
async def test_a_days_budget_is_shared_by_every_process_of_a_home(asking: Asking, budget: dict[str, Any]) -> None:
    outcomes: list[str] = []
    with FaultServer(
        [Reply(status=200, headers=OK.headers, body=OK.body, framing="chunked", piece=99, every=0.02)]
    ) as server:
        model = asking.provider("acme", server.url, SIZE)
        async with (
            asking.open(prices=PRICES, budget=budget) as one,
            asking.open(prices=PRICES, budget=budget) as two,
            anyio.create_task_group() as tasks,
        ):

            async def run(service: Service) -> None:
                try:
                    await ask(service, model, max_tokens=1000)
                    outcomes.append("ok")
                except Error as exc:
                    outcomes.append(exc.kind)

            for service in (one, two, one, two):
                tasks.start_soon(run, service)
    assert sorted(outcomes) == ["budget", "budget", "ok", "ok"]
    assert len(server.requests) == 2


async def test_an_estimate_asks_nobody_and_leaves_nothing(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url, SIZE)
        async with asking.open(prices=PRICES) as service:
            quote = await estimate(service, Ask("x" * 400, model, max_tokens=100, thread="new"))
            unknown = await estimate(service, Ask("hi", "acme:other"))
            kept = await service.runs.store.query("SELECT count(*) FROM ledger UNION ALL SELECT count(*) FROM threads")
    assert (quote["input_tokens"], quote["usd_at_least"], quote["usd_at_most"]) == (104, 0.000104, 0.00143)
    assert (unknown["usd_at_least"], unknown["usd_at_most"]) == (None, None)
    assert (server.requests, kept) == ([], [(0,), (0,)])


async def test_without_a_disk_a_call_that_a_days_budget_forbids_holds_nothing(asking: Asking) -> None:
    blocked = asking.home / "no folder"
    blocked.write_text("")
    asking.environment["MCP_LLM_HOME"] = str(blocked)
    asking.provider("acme", "http://127.0.0.1:9/v1")
    async with asking.open(budget={"day_calls": 5}) as service:
        for _ in range(3):
            with pytest.raises(Error):
                await ask(service, "demo")
        assert service.purse.ledger._open == set()
