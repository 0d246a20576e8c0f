"""Every limit ends a run with what there is by then; a tree of delegates cannot spend more than its root was given."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from agent.delegating import Tree, grown, spent
from agent.scripted import MODEL, Scripted, call, do, names, opened, results, write_agent

from mcp_llm.agent.calls import Calls
from mcp_llm.agent.limits import Meter
from mcp_llm.agent.task import Limits, Task
from mcp_llm.llm.ledger import Ledger, Scope
from mcp_llm.runs.approval import Approvals
from mcp_llm.runs.store import RunStore
from mcp_llm.settings import Agents
from mcp_llm.toolsets.base import Tool
from mcp_llm.toolsets.functions import Functions
from mcp_llm.types.chat import Delta, End, ToolSpec
from mcp_llm.types.events import Lent, ToolEnd, ToolStart
from mcp_llm.types.message import Text, ToolResult
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mcp_llm.store.sqlite import Store
    from mcp_llm.toolsets.base import Tools
    from mcp_llm.types.chat import ChatRequest, Chunk

pytestmark = pytest.mark.anyio
SEEDS = 2
"""The goal G13 has its thousand."""


def counter() -> tuple[Functions, list[int]]:
    """A tool that is never called twice the same way, and how often it was."""
    made: list[int] = []

    def work(number: int) -> str:
        made.append(number)
        return f"did {number}"

    return Functions([work]), made


def endless() -> Scripted:
    """Always asks for another call."""
    model = Scripted("")
    model.script = [lambda _: ["so far so good", call("work", {"number": len(model.requests)})]]
    return model


@pytest.mark.parametrize(
    ("limits", "limit", "turns"),
    [
        (Limits(turns=3), "turns", 3),
        (Limits(calls=2), "calls", 2),
        (Limits(usd=0.025), "usd", 2),
        (Limits(tokens=2400), "tokens", 4),
    ],
)
async def test_a_limit_ends_the_run_with_what_there_is(home: Path, limits: Limits, limit: str, turns: int) -> None:
    model, (tools, _) = endless(), counter()
    events: list[dict[str, Any]] = []
    async with opened(home, {"scripted": model}) as app:
        task = Task(prompt="go", model=MODEL, max_tokens=20, budget=limits)
        result = await do(app, task, toolsets=[tools], on_event=events.append)
        info = await app.journals.get(result.run_id, "local")
    assert (result.stop_reason, result.response, info.status) == ("budget", "so far so good", "finished")
    assert abs(len(model.requests) - turns) <= (0 if limit in {"turns", "calls"} else 1)
    assert names(events)[-2:] == ["budget", "finish"]
    assert (events[-2]["limit"], events[-2]["stopped"]) == (limit, True)


async def test_the_clock_ends_a_run_in_the_middle_of_a_call(home: Path) -> None:
    async def wait() -> None:
        await anyio.sleep_forever()

    async with opened(home, {"scripted": Scripted(["one moment", call("wait")])}) as app:
        task = Task(prompt="go", model=MODEL, budget=Limits(seconds=0.2))
        result = await do(app, task, toolsets=[Functions([wait])])
    assert (result.stop_reason, result.response) == ("budget", "one moment")


async def test_words_that_had_come_when_the_clock_ended_it_are_the_answer(home: Path) -> None:
    class Slow:
        async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
            yield Delta(0, Text("half of "))
            await anyio.sleep_forever()

    async with opened(home, {"scripted": Slow()}) as app:
        result = await do(app, Task(prompt="go", model=MODEL, budget=Limits(seconds=0.3)))
        (spend,) = await app.purse.ledger.spend()
    assert (result.stop_reason, result.response) == ("budget", "half of ")
    assert spend.usd is not None
    assert (result.cost.usd, result.usage.output) == (float(spend.usd), spend.output)
    assert result.cost.usd


async def test_a_model_without_a_price_is_held_to_tokens_unless_dollars_were_asked_for(home: Path) -> None:
    async with opened(home, {"other": Scripted("hello")}) as app:
        usual = await do(app, Task(prompt="go", model="other:m"))
        asked = await do(app, Task(prompt="go", model="other:m", budget=Limits(usd=1)))
    assert (usual.response, usual.cost.usd) == ("hello", None)
    assert any("instead of dollars" in words for words in usual.warnings)
    assert (asked.stop_reason, asked.turns) == ("budget", 0)
    assert any("price" in words for words in asked.warnings)
    assert not any("the model gave no text" in words for words in asked.warnings)  # it was not asked


async def test_the_cap_of_a_call_holds_for_a_run(home: Path) -> None:
    async with opened(home, {"scripted": endless()}, budget={"call_usd": 0.02}) as app:
        tools, _ = counter()
        task = Task(prompt="go", model=MODEL, max_tokens=10, budget=Limits(usd=100))
        result = await do(app, task, toolsets=[tools])
        used = await app.purse.ledger.used("run", result.run_id)
    assert result.stop_reason == "budget"
    assert 0 < used.usd <= Decimal("0.02")
    assert used.held_usd == 0


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_hundred_delegates_at_once_never_spend_more_than_the_root_has(home: Path, seed: int) -> None:
    budget, used, calls = await spent(home, seed)
    assert used <= budget
    assert calls > 1


async def test_a_tree_that_would_grow_without_end_has_sixty_four_runs(home: Path) -> None:
    assert await grown(home) == 64


async def test_delegates_wait_for_money_that_others_hold(home: Path) -> None:
    write_agent(home, "boss", f'delegates = ["worker"]\nmodel = "{MODEL}"')
    write_agent(home, "worker", f'model = "{MODEL}"')
    async with opened(home, {"scripted": Tree(4, 1)}) as app:
        # Enough for two worst cases at a time, and for what all of them really cost.
        result = await do(app, Task(prompt="go", agent="boss", max_tokens=1000, budget=Limits(usd=0.25)))
    assert (result.stop_reason, result.response) == ("stop", "done")


async def test_sixteen_of_a_hundred_delegates_are_run(home: Path) -> None:
    write_agent(home, "boss", f'delegates = ["worker"]\nmodel = "{MODEL}"')
    write_agent(home, "worker", f'model = "{MODEL}"')
    boss = Scripted([call("ask_worker", {"task": str(number)}, f"c{number}") for number in range(100)], "done")
    model = Sorted(boss)
    async with opened(home, {"scripted": model}) as app:
        result = await do(app, Task(prompt="go", agent="boss"))
        runs = await app.journals.list("local", limit=200)
    assert len(runs) == 17
    told = results(boss.requests[1])
    assert len(told) == 100
    assert sum(not error for _, _, error in told) == 16
    assert result.response == "done"


class Sorted:
    """Requests that offer delegates go to one script, all others are answered with a word."""

    def __init__(self, boss: Scripted) -> None:
        self.boss = boss

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        if request.tools:
            async for chunk in self.boss.stream(request, model):
                yield chunk
            return
        yield Delta(0, Text("worked"))
        yield End(stop="stop", usage=Usage(input=1, output=1))


async def test_servers_that_are_asked_at_once_are_lent_no_more_than_there_is(store: Store) -> None:
    """The run has just been gone on with: what it has spent is looked up on disk, by all of the calls at once."""
    lent: list[float] = []

    class Far:
        """Another server of ours; it keeps what it is lent."""

        async def list(self) -> Tools:
            return []

        async def call(self, name: str, arguments: dict[str, Any], *, meta: Any = None, **how: Any) -> ToolResult:
            lent.append(meta["budget"].usd)
            return ToolResult(how["call_id"], name, (Text("done"),))

    calls = await lending(store, Far(), Limits(usd=1.0, seconds=60.0))
    tool = next(iter(calls.tools.values()))
    await calls.make(0, [call(tool.name, {"n": number}, f"c{number}") for number in range(4)], cut_off=False)
    assert sorted(lent) == [0.0625, 0.125, 0.25, 0.5]
    assert calls.meter.elsewhere == Decimal("0.9375")


async def test_what_a_server_says_it_used_counts_and_survives_the_process(store: Store) -> None:
    """Its dollars and tokens are those of the run, also where the run is gone on with from its events alone."""
    limits = Limits(usd=1.0, tokens=1000, seconds=60.0)
    said = ['{"usage": {"input": 90, "output": 10, "total": 100}, "cost": {"usd": 0.25}}', "nothing of it"]
    lent: list[Any] = []

    class Far:
        async def list(self) -> Tools:
            return []

        async def call(self, name: str, arguments: dict[str, Any], *, meta: Any = None, **how: Any) -> ToolResult:
            lent.append(meta["budget"])
            return ToolResult(how["call_id"], name, (Text(said[len(lent) - 1]),))

    written: list[Any] = []
    calls = await lending(store, Far(), limits, written)
    for number in range(2):
        await calls.make(number, [call("far__generate", {"n": number}, f"c{number}")], cut_off=False)
    assert [(one.usd, one.tokens) for one in lent] == [(0.5, 500), (0.375, 450)]
    for events in (written, [one for one in written if isinstance(one, ToolStart)]):
        again = Meter(calls.meter.run_id, limits)
        again.replay(event.model_copy(update={"ts": 1}) for event in events)
        (own,) = again.scopes()
        ends = any(isinstance(one, ToolEnd) for one in events)
        # What it said it used; all that it was lent, where nothing was said, or the process died before it was.
        assert (own.usd, own.tokens) == ((Decimal("0.375"), 450) if ends else (Decimal("0.125"), 50))
    assert calls.meter.scopes() == (Scope("run", calls.meter.run_id, usd=Decimal("0.375"), tokens=450),)


def test_a_delegate_does_not_share_what_another_server_was_lent() -> None:
    meter = Meter("r" * 32, Limits(usd=1.0, tokens=1000, seconds=60.0))
    meter.lend("c", Lent(usd=0.75, tokens=600))
    (own,) = meter.below(said=True)
    assert (own.usd, own.tokens) == (0.25, 400)
    meter.lend("d", Lent(usd=0.5, tokens=600))
    (own,) = meter.below(said=True)
    assert (own.usd, own.tokens) == (0.0, 0)


async def lending(store: Store, far: Any, limits: Limits, written: list[Any] | None = None) -> Calls:
    """Calls of a run that has just begun, to another server of ours."""
    spec = ToolSpec(name="far__generate", description="", parameters={"type": "object"})
    tool = Tool(spec, server="far", approval="allow")
    runs = RunStore(store)
    journal = await runs.create("agent", {}, "me")
    meter = Meter(journal.run_id, limits)

    def add(event: Any) -> None:
        if written is not None:
            written.append(event)
            meter.take(event)

    async def append(event: Any) -> None:
        await anyio.lowlevel.checkpoint()
        add(event)

    return Calls(
        {tool.name: tool},
        far,
        Agents(),
        meter,
        Ledger(store),
        Approvals(runs, journal, 0.0, append),
        append=append,
        add=add,
        note=lambda _: None,
        trace=lambda left: {"budget": left},
    )
