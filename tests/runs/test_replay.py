"""A run read back as steps, and the provider that gives its replies again; a request it never made is named."""

from __future__ import annotations

import pytest
from runs.cut import CALLS, SETTINGS, numbered

from mcp_llm.errors import BudgetExceeded
from mcp_llm.runs.replay import Departed, Difference, RecordEnds, ReplayBackend, steps
from mcp_llm.types.chat import ChatRequest, ChatResponse, Delta, Fold
from mcp_llm.types.events import (
    Budget,
    Compacted,
    Event,
    Finish,
    ModelEnd,
    ModelStart,
    Resumed,
    Start,
    TextEvent,
    ToolEnd,
)
from mcp_llm.types.message import Message, Text, ToolResult, assistant, user
from mcp_llm.types.usage import Usage

pytestmark = pytest.mark.anyio

TOOLS = ("read", "write", "read")

ASKED: list[Event] = [Start(prompt="go"), ModelStart(step=0, messages=(user("go"),), settings=SETTINGS)]
RECORDED: list[Event] = numbered(
    [
        *ASKED,
        TextEvent(text="..."),
        ModelEnd(step=0, response=ChatResponse(message=CALLS, stop="tool_calls")),
        *(ToolEnd(tool="t", call_id=name, result=name) for name in "abc"),
        ModelStart(step=1),
        Resumed(after=8, attempt=2),
        ModelStart(step=1, provider="p", model="m"),
        ModelEnd(
            step=1,
            response=ChatResponse(message=assistant("done"), stop="stop", usage=Usage(input=3), id="x"),
            model="m2",
        ),
        Finish(result="done"),
    ]
)


def test_every_request_of_a_run_is_rebuilt_from_its_events() -> None:
    found = steps(RECORDED)
    results = [ToolResult(name, tool, (Text(name),)) for name, tool in zip("abc", TOOLS, strict=True)]
    answers = Message(role="user", parts=tuple(results))
    assert [step.request.messages for step in found] == [(user("go"),), (user("go"), CALLS, answers)]
    assert [step.request.system for step in found] == ["be brief", "be brief"]
    assert [(step.index, step.provider, step.model, len(step.tools)) for step in found] == [
        (0, None, None, 3),
        (1, "p", "m2", 0),
    ]


def test_a_history_made_shorter_belongs_to_the_step_after_it_also_when_that_is_asked_again() -> None:
    shorter = Compacted(messages=(user("short"),))
    reply = ModelEnd(step=1, response=ChatResponse(message=assistant("done"), stop="stop"))
    asked_anew = [*RECORDED[:7], ModelStart(step=1), shorter, ModelStart(step=1), reply]
    cut_off = [*RECORDED[:7], shorter, ModelStart(step=1), Resumed(after=8, attempt=2), ModelStart(step=1), reply]
    for events in (asked_anew, cut_off):
        found = steps(numbered(events))
        assert [step.compacted and step.compacted.messages for step in found] == [None, (user("short"),)]
        assert found[1].request.messages == (user("short"),)


async def answer(backend: ReplayBackend, request: ChatRequest) -> ChatResponse:
    fold = Fold()
    async for chunk in backend.stream(request, "any"):
        fold.add(chunk)
    return fold.response()


async def test_a_recorded_run_answers_its_own_requests_in_their_order_and_no_more() -> None:
    found = steps(RECORDED)
    backend = ReplayBackend(found)
    replies = [await answer(backend, step.request.model_copy(update={"temperature": 0.3})) for step in found]
    assert [reply.message for reply in replies] == [step.response and step.response.message for step in found]
    assert (replies[1].usage, replies[1].id) == (Usage(input=3), "x")
    with pytest.raises(RecordEnds, match="the recorded run has 2 model calls"):
        await answer(backend, found[1].request)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"messages": (user("stop"),)}, ("message 1", "user: go", "user: stop")),
        ({"system": "be long"}, ("the system text", "be brief", "be long")),
        ({"tools": ()}, ("the tools", '["read", "write"]', "[]")),
        (
            {"messages": (user("go"), user("b"))},
            ("the number of messages", "1 messages, last: go", "2 messages, last: b"),
        ),
    ],
)
async def test_a_request_the_run_never_made_is_shown_beside_the_one_it_made(
    change: dict[str, object], difference: tuple[str, str, str]
) -> None:
    found = steps(RECORDED)
    with pytest.raises(Departed) as caught:
        await answer(ReplayBackend(found), found[0].request.model_copy(update=change))
    where, recorded, other = difference
    assert caught.value.difference == Difference(step=0, where=where, recorded=recorded, found=other)


async def test_a_limit_that_ended_the_run_ends_it_again_with_the_words_that_had_come() -> None:
    stopped = Budget(limit="seconds", stopped=True, message="the clock")
    found = steps(numbered([*ASKED, TextEvent(text="half"), stopped]))
    coming = ReplayBackend(found).stream(found[0].request, "any")
    assert await anext(coming) == Delta(0, Text("half"))
    with pytest.raises(BudgetExceeded, match="the clock") as caught:
        await anext(coming)
    assert caught.value.limit == "seconds"


async def test_a_reply_that_was_never_stored_cannot_be_given() -> None:
    found = steps(numbered(ASKED))
    with pytest.raises(RecordEnds, match="step 0 of the recorded run has no stored reply"):
        await answer(ReplayBackend(found), found[0].request)
