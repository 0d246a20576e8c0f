"""Arguments of earlier calls go back as an object that every vendor can parse, however they were written or cut off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcp_llm.types.chat import ChatRequest
from mcp_llm.types.message import Text, ToolCall, ToolResult, assistant, user
from mcp_llm.wires import chat
from mcp_llm.wires.arguments import as_object, as_text


@pytest.mark.parametrize(
    ("written", "goes"),
    [
        ("", {}),
        ("  ", {}),
        ('{"a": 1e2}', {"a": 100.0}),
        ("[1]", {"arguments": [1]}),
        ('{"a": "cut o', {"arguments": '{"a": "cut o'}),
        ('{"a": NaN}', {"arguments": '{"a": NaN}'}),
        ('{"a": "\\ud800"}', {"arguments": '{"a": "\\ud800"}'}),
        ("[" * 3000, {"arguments": "[" * 3000}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_object_goes_back_as_words_in_one(written: str, goes: dict[str, Any]) -> None:
    assert as_object(written) == goes
    text = json.loads(as_text(written))
    assert text == goes or text == {"arguments": written}


def test_text_that_is_an_object_stays_to_the_letter() -> None:
    assert as_text(' {"a":1.0,  "b":"\\u00e9"}') == ' {"a":1.0,  "b":"\\u00e9"}'


@pytest.mark.parametrize("wire", chat.WIRES)
@pytest.mark.parametrize(
    "written", ['{"a": NaN}', '{"a": "cut o', "[" * 3000, '{"a": "\\ud800"}'], ids=lambda text: text[:9]
)
def test_no_wire_sends_arguments_that_cannot_be_read(wire: str, written: str) -> None:
    history = (
        user("go"),
        assistant(ToolCall("c1", "f", written)),
        user(ToolResult("c1", "f", (Text("no"),), is_error=True)),
    )
    dialect = chat.wire(wire)
    body = dialect.encode(ChatRequest(messages=history), "m", dialect.Quirks()).json
    sent = json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
    read = json.loads(sent)
    calls = [value for value in _arguments(read) if value != {}]
    assert len(calls) == 1
    assert isinstance(json.loads(calls[0]) if isinstance(calls[0], str) else calls[0], dict)


def _arguments(body: Any) -> list[Any]:
    """Whatever stands where the wires have arguments."""
    if isinstance(body, list):
        return [one for item in body for one in _arguments(item)]
    if not isinstance(body, dict):
        return []
    own = [body[key] for key in ("arguments", "input", "args") if key in body and not isinstance(body[key], list)]
    return own or [one for item in body.values() for one in _arguments(item)]
