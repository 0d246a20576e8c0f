"""Trees of delegates: what they spend of their root's budget, and how many there come to be."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING

import anyio
from agent.scripted import MODEL, Scripted, call, do, opened, write_agent

from mcp_llm.agent.task import Limits, Task
from mcp_llm.llm.parameters import estimate_tokens
from mcp_llm.types.chat import Delta, End
from mcp_llm.types.message import Text, ToolResult
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mcp_llm.types.chat import ChatRequest, Chunk


class Tree:
    """The root asks `count` delegates at once; each reply costs what luck says, up to what was reserved for it."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.luck = random.Random(seed)
        self.asked = 0

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        self.asked += 1
        for _ in range(self.luck.randrange(3)):
            await anyio.lowlevel.checkpoint()
        assert request.max_tokens is not None
        usage = Usage(
            input=self.luck.randint(1, estimate_tokens(request)),
            output=self.luck.randint(1, min(40, request.max_tokens)),
        )
        last = request.messages[-1]
        offered = {tool.name for tool in request.tools}
        if "ask_worker" in offered and not any(isinstance(part, ToolResult) for part in last.parts):
            for number in range(self.count):
                yield Delta(number, call("ask_worker", {"task": f"part {number}"}, f"c{number}"))
            yield End(stop="tool_calls", usage=usage)
            return
        yield Delta(0, Text("done"))
        yield End(stop="stop", usage=usage)


async def spent(home: Path, seed: int) -> tuple[Decimal, Decimal, int]:
    """(budget, spent by a root and its hundred delegates, calls that were paid); nothing is left held."""
    write_agent(home, "boss", f'delegates = ["worker"]\nmodel = "{MODEL}"')
    write_agent(home, "worker", f'model = "{MODEL}"')
    luck = random.Random(seed)
    budget = Decimal(luck.randrange(20, 400)) / 1000
    agents = {"calls_a_turn": 100, "children": 100, "runs": 200, "parallel": 100}
    async with opened(home, {"scripted": Tree(100, seed)}, agents=agents) as app:
        task = Task(prompt="go", agent="boss", max_tokens=40, budget=Limits(usd=float(budget)))
        result = await do(app, task)
        used = await app.purse.ledger.used("run", result.run_id)
        rows = await app.runs.store.query("SELECT coalesce(sum(usd), 0), count(*) FROM ledger")
        left = await app.runs.store.query("SELECT count(*) FROM reservations WHERE ledger IS NULL")
    assert not used.held_usd
    assert left == [(0,)]
    return budget, max(used.usd, Decimal(rows[0][0]).scaleb(-9)), rows[0][1]


async def grown(home: Path) -> int:
    """The runs of a tree in which each agent always asks for a hundred others, three deep."""
    for name, below in (("boss", "lead"), ("lead", "worker"), ("worker", "helper")):
        write_agent(home, name, f'delegates = ["{below}"]\nmodel = "{MODEL}"')
    write_agent(home, "helper", f'model = "{MODEL}"')

    def greedy(request: ChatRequest) -> object:
        asked = [tool.name for tool in request.tools if tool.name.startswith("ask_")]
        if not asked or any(isinstance(part, ToolResult) for part in request.messages[-1].parts):
            return "done"
        return [call(asked[0], {"task": str(number)}, f"c{number}") for number in range(100)]

    async with opened(home, {"scripted": Scripted(greedy)}) as app:
        await do(app, Task(prompt="go", agent="boss"))
        return len(await app.journals.list("local", limit=1000))
