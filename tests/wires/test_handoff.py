"""Histories that one target wrote, made fit for another."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.types.message import (
    Media,
    Message,
    Opaque,
    Origin,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    assistant,
    user,
)
from mcp_llm.wires.handoff import NO_RESULT, fit

HERE = Origin(provider="here", model="m", wire="w")
THERE = Origin(provider="there", model="m", wire="w")
NINE = re.compile(r"[A-Za-z0-9]{9}")


def said(origin: Origin, *parts: Part) -> Message:
    return Message(role="assistant", parts=parts, origin=origin)


def test_what_the_target_itself_wrote_stays_to_the_letter() -> None:
    history = (
        user("hi"),
        said(
            HERE, Thinking("t", {"s": 1}), Opaque({"o": 1}), Text("", {"i": 1}), ToolCall("c 1", "a.b", "{}", {"x": 1})
        ),
        user(ToolResult("c 1", "a.b", (Text("r"),))),
    )
    assert fit(history, HERE, ids=NINE) == history


def test_messages_that_need_no_change_are_the_very_same() -> None:
    history = (
        user("look", Media("image/png", "AA")),
        said(HERE, ToolCall("c", "f", "{}")),
        user(ToolResult("c", "f", (Text("r"),)), "and then?"),
        said(HERE, Text("so")),
    )
    # Wires remember how a message is spelled, and know it by identity.
    assert [id(message) for message in fit(history, HERE)] == [id(message) for message in history]


def test_what_another_wrote_loses_thinking_and_opaque_state() -> None:
    history = [
        user(Text("hi", {"e": 1})),
        said(
            THERE,
            Thinking("t", {"s": 1}),
            Opaque({"o": 1}),
            Text("a", {"i": 1}),
            Media("image/png", "AA", echo={"i": 1}),
        ),
    ]
    assert fit(history, HERE) == (user("hi"), said(THERE, Text("a"), Media("image/png", "AA")))


def test_a_message_by_nobody_keeps_its_thinking_without_echo() -> None:
    history = [assistant(Thinking("t", {"s": 1}), Opaque({"o": 1}), Text("a", {"i": 1}))]
    assert fit(history, HERE) == (assistant(Thinking("t"), "a"),)
    assert fit(history, None) == fit(history, HERE)


def test_a_message_that_nothing_is_left_of_is_dropped() -> None:
    history = [user("hi"), said(THERE, Thinking("t"), Opaque({"o": 1}), Text("")), said(HERE), user("and?")]
    assert fit(history, HERE) == (user("hi"), user("and?"))


def test_ids_and_names_that_would_be_refused_are_changed_in_call_and_result_alike() -> None:
    history = [
        said(THERE, ToolCall("call_1", "a.b/c", "{}"), ToolCall("abcdef123", "ok", "{}")),
        user(ToolResult("abcdef123", "ok"), ToolResult("call_1", "a.b/c", (Text("r"),))),
    ]
    told, answered = fit(history, HERE, ids=NINE)
    new = told.tool_calls[0].id
    assert NINE.fullmatch(new)
    assert told.parts == (ToolCall(new, "a_b_c", "{}"), ToolCall("abcdef123", "ok", "{}"))
    assert answered.parts == (ToolResult("abcdef123", "ok"), ToolResult(new, "a_b_c", (Text("r"),)))
    assert fit(history, HERE, ids=NINE) == (told, answered)


def test_an_id_used_twice_is_made_unique() -> None:
    turn = [said(THERE, ToolCall("call_0", "a")), user(ToolResult("call_0", "a", (Text("r"),)))]
    _, _, told, answered = fit(turn * 2, HERE)
    assert told.tool_calls[0].id != "call_0"
    assert answered == user(ToolResult(told.tool_calls[0].id, "a", (Text("r"),)))


def test_two_calls_of_one_id_are_answered_in_order() -> None:
    history = [
        said(THERE, ToolCall("", "a"), ToolCall("", "b")),
        user(ToolResult("", "a", (Text("1"),)), ToolResult("", "b", (Text("2"),))),
    ]
    told, answered = fit(history, HERE)
    first, second = (call.id for call in told.tool_calls)
    assert first != second
    assert answered == user(ToolResult(first, "a", (Text("1"),)), ToolResult(second, "b", (Text("2"),)))


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    missing = ToolResult("c", "t", (Text(NO_RESULT),), is_error=True)
    call = said(HERE, ToolCall("c", "t"))
    assert fit([call], HERE) == (call, user(missing))
    assert fit([call, said(HERE, Text("a"))], HERE) == (call, user(missing), said(HERE, Text("a")))
    assert fit([call, user("never mind")], HERE) == (call, user(missing, "never mind"))


def test_results_told_in_a_later_message_of_the_turn_move_to_its_first() -> None:
    call = said(HERE, ToolCall("c", "t"), ToolCall("d", "t"))
    history = [call, user(ToolResult("c", "t")), user(ToolResult("d", "t")), user("go on")]
    assert fit(history, HERE) == (call, user(ToolResult("c", "t"), ToolResult("d", "t")), user("go on"))


def test_a_result_without_a_call_becomes_words() -> None:
    picture = Media("image/png", "AA")
    history = [
        user("hi"),
        said(HERE, Text("a")),
        user(ToolResult("c", "t.t", (Text("r"), picture)), ToolResult("c", "t", is_error=True)),
    ]
    assert fit(history, HERE)[2] == user(
        "The result of an earlier call of the tool t_t:\nr", picture, "The error of an earlier call of the tool t:\n"
    )


parts = st.one_of(
    st.builds(Text, st.sampled_from(["", "a"])),
    st.builds(Thinking, st.just("t"), st.sampled_from([None, {"e": 1}])),
    st.builds(Opaque, st.just({"o": 1})),
    st.builds(ToolCall, st.sampled_from(["", "c", "call_1", "x" * 50]), st.sampled_from(["t", "t.t", ""])),
)
answers = st.one_of(
    st.builds(Text, st.just("u")), st.builds(ToolResult, st.sampled_from(["", "c", "call_1"]), st.just("t"))
)
messages = st.one_of(
    st.builds(said, st.sampled_from([HERE, THERE]), parts, parts),
    st.builds(user, answers),
    st.builds(user, answers, answers),
)


@given(st.lists(messages, max_size=8))
def test_every_call_has_exactly_one_result_in_the_next_message(history: list[Message]) -> None:
    fitted = fit(history, HERE, ids=NINE)
    for index, message in enumerate(fitted):
        assert message.parts or message.role == "user"
        results = sorted(part.id for part in message.parts if isinstance(part, ToolResult))
        calls = fitted[index - 1].tool_calls if index and fitted[index - 1].role == "assistant" else ()
        assert results == (sorted(call.id for call in calls) if message.role == "user" else [])
    assert not fitted or not fitted[-1].tool_calls


@given(st.lists(messages, max_size=8))
def test_a_fitted_history_is_fit(history: list[Message]) -> None:
    fitted = fit(history, HERE, ids=NINE)
    assert fit(fitted, HERE, ids=NINE) == fitted


@given(st.lists(messages, max_size=8))
def test_a_longer_history_begins_as_the_shorter_one_did(history: list[Message]) -> None:
    before = [message for message in fit(history, HERE) if message.role == "assistant"]
    after = [message for message in fit([*history, user("more")], HERE) if message.role == "assistant"]
    assert after == before
