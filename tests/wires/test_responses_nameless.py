"""Servers of the Responses dialect that do not say of which item a piece is: everything comes once, in its order."""

from __future__ import annotations

import pytest
from wires.items import Item, completed, function_call, message, read, sse

from mcp_llm.types.message import Thinking

NAMELESS: tuple[tuple[Item, Item], ...] = (
    ({"type": "response.reasoning_text.delta", "delta": "One."}, {"type": "reasoning", "content": [{"text": "One."}]}),
    ({"type": "response.output_text.delta", "delta": "Hello"}, {**message("Hello"), "id": ""}),
    ({"type": "response.function_call_arguments.delta", "delta": '{"at": '}, {**function_call(), "id": None}),
    ({"type": "response.output_text.delta", "delta": "Bye"}, {**message("Bye"), "id": ""}),
)
"""A delta, and the item that it is of: neither says which."""


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
@pytest.mark.parametrize("finished", [True, False], ids=["finished", "not finished"])
def test_items_that_are_named_nowhere_come_once(finished: bool, begun: bool) -> None:
    pairs = NAMELESS if finished else NAMELESS[:3]
    events: list[Item] = []
    for words, item in pairs:
        if begun:
            empty: Item = {"arguments": ""} if item["type"] == "function_call" else {"content": []}
            events.append({"type": "response.output_item.added", "item": {**item, **empty}})
        events.append(words)
        if finished:
            events.append({"type": "response.output_item.done", "item": item})
    items = [{**item, "id": f"id_{index}"} for index, (_, item) in enumerate(pairs)]
    for output in (items, []) if finished else (items,):
        answer = read(sse(*events, completed(*output)))
        assert answer.text == ("HelloBye" if finished else "Hello")
        assert [part.text for part in answer.message.parts if isinstance(part, Thinking)] == ["One."]
        assert [(call.id, call.arguments) for call in answer.message.tool_calls] == [("call_a", '{"at": "sea"}')]


def thought(*summaries: str) -> Item:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text} for text in summaries]}


@pytest.mark.parametrize("cut", [0, 1], ids=["whole", "the last piece did not come"])
def test_several_items_of_one_kind_that_are_named_nowhere_come_once(cut: int) -> None:
    said = [{"type": "response.output_text.delta", "delta": text} for text in ("Hel", "lo", "Bye", "!")]
    thinking = [
        {"type": "response.reasoning_summary_text.delta", "summary_index": index, "delta": text}
        for index, text in ((0, "One."), (1, "Two."), (0, "Thr"), (0, "ee."))
    ]
    asked = [
        {"type": "response.function_call_arguments.delta", "delta": text}
        for text in ('{"at": "sea"}', '{"at": ', '"land"}')
    ]
    items: list[Item] = [
        *(thought("One.", "Two."), thought("Three.")),
        *({**message(text), "id": ""} for text in ("Hello", "", "Bye!")),
        {**function_call(), "id": None},
        {**function_call(), "id": None, "call_id": "call_b", "arguments": '{"at": "land"}'},
    ]
    events = [event for some in (thinking, said, asked) for event in some[: len(some) - cut]]
    answer = read(sse(*events, completed(*items)))
    assert answer.text == "HelloBye!"
    assert "".join(part.text for part in answer.message.parts if isinstance(part, Thinking)) == "One.\n\nTwo.\n\nThree."
    assert [(call.id, call.arguments) for call in answer.message.tool_calls] == [
        ("call_a", '{"at": "sea"}'),
        ("call_b", '{"at": "land"}'),
    ]


def test_words_that_no_item_begins_with_are_kept_beside_the_items() -> None:
    events = [{"type": "response.output_text.delta", "delta": text} for text in ("Hello", "?")]
    answer = read(sse(*events, completed({**message("Hello"), "id": ""}, {**message("Bye"), "id": ""})))
    assert answer.text == "Hello?Bye"


def test_a_call_that_no_item_names_is_not_lost() -> None:
    answer = read(sse({"type": "response.function_call_arguments.delta", "delta": "{}"}, completed()))
    assert [(call.name, call.arguments) for call in answer.message.tool_calls] == [("", "{}")]


def test_a_refusal_that_names_no_item_is_noted_once() -> None:
    item = {"type": "message", "content": [{"type": "refusal", "refusal": "I will not."}]}
    answer = read(sse({"type": "response.refusal.delta", "delta": "I will "}, completed(item)))
    assert (answer.text, answer.stop, answer.note) == ("", "content_filter", "I will not.")
