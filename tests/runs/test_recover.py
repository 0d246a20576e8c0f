"""What a cut-off run may do next, and what a recorded one can be asked again."""

from __future__ import annotations

import pytest
from runs.cut import CALLS, SETTINGS, numbered

from mcp_llm.runs.recover import standing
from mcp_llm.types.chat import ChatResponse
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
from mcp_llm.types.message import Message, Text, ToolResult, user

pytestmark = pytest.mark.anyio

ASKED: list[Event] = [
    Start(prompt="go"),
    ModelStart(step=0, messages=(user("go"),), settings=SETTINGS),
    TextEvent(text="..."),
]
CALLED: list[Event] = [*ASKED, ModelEnd(step=0, response=ChatResponse(message=CALLS, stop="tool_calls"))]


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


@pytest.mark.parametrize(
    ("events", "ended", "ask_again"),
    [
        ([], False, False),
        ([Start(prompt="go")], False, False),
        ([Start(prompt="go"), Start(prompt="stop")], False, False),
        ([*CALLED, Finish(result="x"), *ASKED], True, False),
        ([ModelEnd(step=3, response=ChatResponse(message=CALLS, stop="stop"))], False, False),
        ([ToolEnd(tool="read", call_id="nobody's", result="x")], False, False),
        ([Resumed(after=9, attempt=7), *ASKED, *ASKED], False, True),
    ],
)
def test_a_journal_that_nobody_wrote_so_is_read_all_the_same(events: list[Event], ended: bool, ask_again: bool) -> None:
    state = standing(numbered(events))
    assert (state.ended, state.ask_again) == (ended, ask_again)
