"""A conversation that nears the model's window: old results are shortened first, then the beginning is summarised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agent.scripted import MODEL, Scripted, call, do, opened, results

from mcp_llm.agent.limits import Meter
from mcp_llm.agent.task import Limits, Task
from mcp_llm.errors import ContextTooLong, Disconnected
from mcp_llm.llm.parameters import estimate_tokens
from mcp_llm.runs.replay import steps
from mcp_llm.toolsets.functions import Functions
from mcp_llm.types.chat import Delta
from mcp_llm.types.message import Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mcp_llm.types.chat import ChatRequest, Chunk

pytestmark = pytest.mark.anyio
WINDOW = 12_000


def page(number: int) -> str:
    """A page of a book."""
    return f"page {number} begins. " + "lorem ipsum " * 800


def reading(pages: int) -> Scripted:
    """Reads page after page; asked for a summary, gives one."""
    model = Scripted("")
    turn = 0

    def answer(request: ChatRequest) -> Any:
        nonlocal turn
        if not request.tools:
            return "SUMMARY: the pages were read"
        turn += 1
        return call("page", {"number": turn}, f"p{turn}") if turn <= pages else "the end"

    model.script = [answer]
    return model


def book(**more: Any) -> dict[str, Any]:
    """The scripted model with a small window."""
    return {"providers": {"scripted": {"models": {"m": {"context": WINDOW, "output": 1000}}}}, **more}


async def test_old_results_are_shortened_and_stay_readable(home: Path) -> None:
    model = reading(6)
    events: list[dict[str, Any]] = []
    async with opened(home, {}) as app:
        window(app, model)
        result = await do(app, "read", toolsets=[Functions([page])], on_event=events.append)
        stored = await app.journals.events(result.run_id)
    assert result.response == "the end"
    assert any(event["event"] == "compacted" for event in events)
    assert max(estimate_tokens(request) for request in model.requests) < WINDOW
    asked = [step.request.messages for step in steps(stored)]
    assert asked == [request.messages for request in model.requests if request.tools]
    old = [part for part in model.requests[-1].messages[2].parts if part.type == "tool_result"]
    assert not old or "read_more(handle=" in old[0].text


async def test_a_long_history_is_summarised_and_the_task_stays(home: Path) -> None:
    model = reading(20)
    async with opened(home, {}, agents={"turns": 60}) as app:
        window(app, model)
        result = await do(app, Task(prompt="Read the book to its end.", model=MODEL), toolsets=[Functions([page])])
    assert (result.response, result.turns) == ("the end", 21)
    assert max(estimate_tokens(request) for request in model.requests) < WINDOW
    last = model.requests[-1].messages
    assert last[0].text.startswith("Read the book to its end.")
    assert "SUMMARY: the pages were read" in last[0].text
    assert [message.role for message in last[:2]] == ["user", "assistant"]


async def test_a_summary_that_breaks_off_is_in_the_receipt(home: Path) -> None:
    class Breaking(Scripted):
        async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
            if not request.tools:
                self.requests.append(request)
                yield Delta(0, Text("SUMM"))
                raise Disconnected("gone in the middle")
            async for chunk in super().stream(request, model):
                yield chunk

    model = Breaking("")
    model.script = reading(20).script
    async with opened(home, {}, agents={"turns": 12}) as app:
        window(app, model)
        result = await do(app, Task(prompt="Read the book to its end.", model=MODEL), toolsets=[Functions([page])])
        (row,) = await app.purse.ledger.spend("run")
    assert any("could not be summarised" in words for words in result.warnings)
    assert result.cost.usd is not None
    assert (result.usage.total, result.cost.usd) == ((row.input or 0) + (row.output or 0), float(row.usd or 0))


async def test_a_run_that_is_gone_on_with_knows_what_its_summaries_cost(home: Path) -> None:
    model = reading(20)
    async with opened(home, {}, agents={"turns": 60}) as app:
        window(app, model)
        result = await do(app, Task(prompt="Read the book to its end.", model=MODEL), toolsets=[Functions([page])])
        meter = Meter(result.run_id, Limits())
        meter.replay(await app.journals.events(result.run_id))
    assert (meter.usage, meter.cost) == (result.usage, result.cost)


async def test_a_provider_that_finds_it_too_long_is_asked_once_more_with_less(home: Path) -> None:
    model = Scripted(
        *[call("page", {"number": number}, f"p{number}") for number in range(5)],
        ContextTooLong("too long", status=400),
        lambda request: "short" if not request.tools else "done",
        "done",
    )
    async with opened(home, {"scripted": model}) as app:
        result = await do(app, "read", toolsets=[Functions([page])])
    assert result.response == "done"
    assert estimate_tokens(model.requests[-1]) < estimate_tokens(model.requests[5])


async def test_a_history_too_long_for_the_next_model_is_shortened_before_it_is_asked(home: Path) -> None:
    first = Scripted(*[call("page", {"number": number}, f"p{number}") for number in range(9)], "read")
    async with opened(home, {"scripted": first}) as app:
        before = await do(app, "read", toolsets=[Functions([page])])
    model = reading(0)
    async with opened(home, {}) as app:
        window(app, model)
        after = await do(
            app, Task(prompt="and?", model=MODEL, continue_from=before.run_id), toolsets=[Functions([page])]
        )
    assert after.response == "the end"
    assert max(estimate_tokens(request) for request in model.requests) < WINDOW
    assert results(model.requests[-1]) == []


def window(app: Any, model: Scripted) -> None:
    """The scripted model, with a window."""
    app.backends.register("scripted", model)
    facts = {"models": {"m": {"context": WINDOW, "output": 1000}}}
    app.catalog.add(
        "scripted", {"name": "scripted", "base_url": "code://", "wires": {"chat": "code"}, "open": True, **facts}
    )


async def test_a_task_that_is_too_long_by_itself_is_told_as_that(home: Path) -> None:
    model = Scripted(ContextTooLong("too long", provider="scripted"))
    async with opened(home, {"scripted": model}) as app:
        with pytest.raises(ContextTooLong, match="too long"):
            await do(app, "go")
    assert len(model.requests) == 1
