"""What was made of a message is not made twice, nor kept longer than the message, nor changed by whoever got it."""

from __future__ import annotations

import gc
from weakref import ref

from mcp_llm.llm.parameters import estimate_tokens
from mcp_llm.types.chat import ChatRequest
from mcp_llm.types.message import Message, Origin, Text, ToolCall, ToolResult, assistant, user
from mcp_llm.types.remembered import remembered
from mcp_llm.wires.chat import openai
from mcp_llm.wires.handoff import fit


def test_a_message_is_worked_on_once_and_an_equal_one_by_itself() -> None:
    asked: list[Message] = []

    @remembered
    def words(message: Message, _: None) -> str:
        asked.append(message)
        return message.text

    one, other = user("hello"), user("hello")
    assert [words(one, None), words(one, None), words(other, None)] == ["hello"] * 3
    assert [id(message) for message in asked] == [id(one), id(other)]


def test_with_something_else_to_go_by_it_is_worked_on_again() -> None:
    @remembered
    def loud(message: Message, mark: list[str]) -> str:
        return message.text + mark[0]

    one, calm, loudly = user("hello"), ["."], ["!"]
    assert [loud(one, calm), loud(one, loudly), loud(one, calm)] == ["hello.", "hello!", "hello."]


def test_a_message_that_is_gone_takes_along_what_was_made_of_it() -> None:
    made: list[ref[Message]] = []

    @remembered
    def answer(message: Message, _: None) -> Message:
        made.append(ref(found := assistant(message.text)))
        return found

    for number in range(100):
        answer(user(str(number)), None)
    gc.collect()
    assert [found() for found in made] == [None] * 100


def test_a_history_that_was_sent_is_not_kept() -> None:
    origin = Origin(provider="p", model="m", wire="openai")
    said = [
        user("2 and 3?"),
        Message(role="assistant", parts=(Text("x"), ToolCall("1", "add", "{}")), origin=origin),
        user(ToolResult("1", "add", (Text("5"),))),
        Message(role="assistant", parts=(Text(""), Text("5")), origin=origin),
        Message(role="assistant", parts=(Text(""),), origin=origin),
    ]
    alive = [ref(message) for message in said]

    def send() -> None:
        request = ChatRequest(messages=fit(said, origin))
        openai.encode(request, "m", openai.Quirks())
        estimate_tokens(request)

    send()
    said.clear()
    gc.collect()
    assert [message() for message in alive] == [None] * 5


def test_words_that_are_joined_in_one_request_are_whole_again_in_the_next() -> None:
    quirks = openai.Quirks(alternate=True)
    said = (user("a"), user("b"), assistant("c"), assistant("d"))
    first, second = (openai.encode(ChatRequest(messages=said), "m", quirks).json for _ in range(2))
    assert first == second
    assert first is not None
    assert first["messages"] == [{"role": "user", "content": "a\n\nb"}, {"role": "assistant", "content": "c\n\nd"}]
    alone = openai.encode(ChatRequest(messages=said[:1]), "m", quirks).json
    assert alone is not None
    assert alone["messages"] == [{"role": "user", "content": "a"}]
