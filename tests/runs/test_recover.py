"""What a cut-off run may do next, and what a recorded one can be asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_llm.errors import InvalidInput
from mcp_llm.runs.recover import standing
from mcp_llm.runs.replay import ReplayBackend, steps
from mcp_llm.types.chat import ChatRequest, ChatResponse, Fold, ToolSpec
from mcp_llm.types.events import (
    Compacted,
    Event,
    Finish,
    ModelEnd,
    ModelStart,
    Resumed,
    Start,
    TextEvent,
    ToolEnd,
    ToolStart,
)
from mcp_llm.types.message import Message, Text, Thinking, ToolCall, ToolResult, assistant, user
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio

SETTINGS = ChatRequest(messages=(), system="be brief", tools=(ToolSpec(name="read"), ToolSpec(name="write")))
CALLS = assistant(
    Thinking("hm", {"signature": "s"}), ToolCall("a", "read", "{}"), ToolCall("b", "write", "{}"), ToolCall("c", "read")
)
ASKED: list[Event] = [
    Start(prompt="go"),
    ModelStart(step=0, messages=(user("go"),), settings=SETTINGS),
    TextEvent(text="..."),
]
CALLED: list[Event] = [*ASKED, ModelEnd(step=0, response=ChatResponse(message=CALLS, stop="tool_calls"))]


def numbered(events: Sequence[Event]) -> list[Event]:
    return [event.model_copy(update={"seq": index}) for index, event in enumerate(events)]


def results(*parts: ToolResult) -> Message:
    return Message(role="user", parts=parts)


def test_a_call_without_its_reply_may_be_made_again() -> None:
    state = standing(numbered(ASKED))
    assert (state.ask_again, state.asked, state.to_call, state.may_have_run, state.last_seq) == (True, 1, (), (), 2)
    assert state.history.request() == SETTINGS.model_copy(update={"messages": (user("go"),)})
    again = standing(numbered([*ASKED, Resumed(after=2, attempt=2), ModelStart(step=0, messages=(user("go"),))]))
    assert (again.asked, again.resumed) == (2, 1)
    assert again.history.messages == [user("go")]


def test_a_stored_reply_is_used_and_never_asked_for_again() -> None:
    state = standing(numbered(CALLED))
    assert (state.ask_again, [call.id for call in state.to_call], state.may_have_run) == (False, ["a", "b", "c"], ())


def test_a_tool_without_its_end_is_repeated_only_where_that_does_no_harm() -> None:
    events = [
        *CALLED,
        ToolStart(tool="read", call_id="a", read_only=True),
        ToolStart(tool="write", call_id="b", read_only=False, idempotent=False),
        ToolStart(tool="read", call_id="c", idempotent=True),
        ToolEnd(tool="read", call_id="c", result="seen"),
    ]
    state = standing(numbered(events))
    assert [call.id for call in state.to_call] == ["a"]
    assert [one.call_id for one in state.may_have_run] == ["b"]
    unhinted = standing(numbered([*CALLED, ToolStart(tool="write", call_id="b")]))
    assert [one.call_id for one in unhinted.may_have_run] == ["b"]
    assert not unhinted.ended


def test_results_go_back_in_the_order_asked_whatever_order_they_came_in() -> None:
    events = [
        *CALLED,
        ToolEnd(tool="read", call_id="c", result={"n": 1}),
        ToolEnd(tool="read", call_id="a", result="one"),
        ToolEnd(tool="write", call_id="b", result="no", is_error=True),
        ModelStart(step=1),
    ]
    state = standing(numbered(events))
    assert state.ask_again
    assert state.history.messages == [
        user("go"),
        CALLS,
        results(
            ToolResult("a", "read", (Text("one"),)),
            ToolResult("b", "write", (Text("no"),), is_error=True),
            ToolResult("c", "read", (Text('{"n": 1}'),)),
        ),
    ]


def test_after_a_compaction_the_history_is_what_it_says() -> None:
    state = standing(numbered([*CALLED, Compacted(messages=(user("short"),)), ModelStart(step=1)]))
    assert state.history.messages == [user("short")]


def test_an_ended_run_has_nothing_left_to_do() -> None:
    state = standing(numbered([*ASKED, Finish(result="x")]))
    assert (state.ended, state.ask_again) == (True, False)


TOOLS = ("read", "write", "read")
RECORDED: list[Event] = numbered(
    [
        *CALLED,
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
    answers = results(*(ToolResult(name, tool, (Text(name),)) for name, tool in zip("abc", TOOLS, strict=True)))
    assert [step.request.messages for step in found] == [(user("go"),), (user("go"), CALLS, answers)]
    assert [step.request.system for step in found] == ["be brief", "be brief"]
    assert [(step.index, step.provider, step.model, len(step.tools)) for step in found] == [
        (0, None, None, 3),
        (1, "p", "m2", 0),
    ]


async def answer(backend: ReplayBackend, request: ChatRequest) -> ChatResponse:
    fold = Fold()
    async for chunk in backend.stream(request, "any"):
        fold.add(chunk)
    return fold.response()


async def test_a_recorded_run_answers_its_own_requests_offline() -> None:
    found = steps(RECORDED)
    backend = ReplayBackend(found)
    for step in found:
        assert await answer(backend, step.request.model_copy(update={"temperature": 0.3})) == step.response or (
            step.response is not None and step.response.model is None
        )
    with pytest.raises(InvalidInput, match="step 0 of the recorded run has no stored reply, or it was given already"):
        await answer(backend, found[0].request)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"messages": (user("stop"),)}, "message 1 of this request differs from step 0"),
        ({"system": "be long"}, "the system text or the tools differ from step 0"),
        ({"messages": (user("a"), user("b"))}, "made no request of 2 messages"),
    ],
)
async def test_a_request_the_run_never_made_is_named(change: dict[str, object], said: str) -> None:
    found = steps(RECORDED)
    with pytest.raises(InvalidInput, match=said):
        await answer(ReplayBackend(found), found[0].request.model_copy(update=change))
