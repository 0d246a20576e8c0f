"""Recorded answers sent back as history: every opaque piece of state comes out as its vendor wants it again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import Message, Text, ToolCall, ToolResult, assistant, user

if TYPE_CHECKING:
    from collections.abc import Iterator

WIRES = ("anthropic-messages", "google-gemini", "ollama-chat", "openai-chat", "openai-responses")
NAMES = {"anthropic-messages": "anthropic", "google-gemini": "gemini", "ollama-chat": "ollama"}
NAMES |= {"openai-chat": "openai", "openai-responses": "responses"}

SIGNED = {
    "anthropic-messages": ("signature", "data", "encrypted_content"),
    "google-gemini": ("thoughtSignature",),
    "ollama-chat": (),
    "openai-chat": (),
    "openai-responses": ("encrypted_content",),
}
"""JSON keys whose values must come back byte for byte."""


LAGGING = {
    "anthropic-messages": r"\.content\.abort_reason: ",
    "openai-responses": r"\.results\[\d+\]\.vector_store_id: |\.action\.sources\[\d+\]\.|^\$\.input\[\d+\]\.status: ",
}
"""Fields of items that the vendor wrote itself and that its SDK's request types do not have (yet)."""


def following(message: Message) -> ChatRequest:
    """The next request of a conversation in which the model said this and its tools answered."""
    results = [ToolResult(call.id, call.name, (Text("done"),)) for call in message.tool_calls]
    tools = tuple(ToolSpec(name=name) for name in {call.name: None for call in message.tool_calls})
    return ChatRequest(messages=(user("Go."), message, user(*results, "And?")), tools=tools)


def answers(corpus: Any, wire: str) -> Iterator[tuple[Any, Message]]:
    for case in corpus[wire]:
        response = case.read().response
        if response and response.message.parts:
            yield case, response.message


def texts_at(value: Any, keys: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in keys and isinstance(item, str) and item:
                yield item
            yield from texts_at(item, keys)
    elif isinstance(value, list):
        for item in value:
            yield from texts_at(item, keys)


@pytest.mark.parametrize("wire", WIRES)
def test_recorded_answers_go_back_as_the_vendors_types_have_them(
    wire: str, corpus: Any, sdk: Any, report: list[str]
) -> None:
    found: dict[str, list[str]] = {}
    own = {"anthropic", "google", "google-vertex", "ollama", "openai", "azure"}
    count = 0
    for case, message in answers(corpus, wire):
        if case.provider not in own:
            continue
        count += 1
        body = case.dialect.encode(following(message), "model-1", case.quirks).json
        told = sdk.check(NAMES[wire], body)
        if told := [line for line in told if wire not in LAGGING or not re.search(LAGGING[wire], line)]:
            found[case.id] = told
    report.append(f"sent back: {count - len(found)}/{count} {wire}")
    assert count
    assert not found, "\n" + "\n".join(f"{name}\n    " + "\n    ".join(told[:4]) for name, told in found.items())


@pytest.mark.parametrize("wire", [wire for wire in WIRES if SIGNED[wire]])
def test_signatures_and_encrypted_state_come_back_byte_for_byte(wire: str, corpus: Any) -> None:
    lost: dict[str, int] = {}
    count = 0
    for case, message in answers(corpus, wire):
        kept = set(texts_at([part.echo for part in message.parts if not isinstance(part, ToolResult)], SIGNED[wire]))
        body = case.dialect.encode(following(message), "model-1", case.quirks).json
        sent = set(texts_at(body, SIGNED[wire]))
        count += len(kept)
        if missing := len(kept - sent):
            lost[case.id] = missing
    assert count > 30
    assert lost == {}


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_without_echo_can_be_sent_back_too(wire: str, corpus: Any, sdk: Any) -> None:
    """As history made by hand, or written by another model: words and calls only."""
    found: dict[str, list[str]] = {}
    for case, message in answers(corpus, wire):
        parts = [Text(part.text) for part in message.parts if part.type == "text" and part.text]
        calls = [ToolCall(call.id, call.name, call.arguments) for call in message.tool_calls]
        if not parts and not calls:
            continue
        quirks = case.dialect.Quirks()
        body = case.dialect.encode(following(assistant(*parts, *calls)), "model-1", quirks).json
        if told := sdk.check(NAMES[wire], body):
            found[case.id] = told[:4]
    assert found == {}
