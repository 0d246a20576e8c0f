"""Events: their published schema, their one line of JSON, their sinks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from pydantic import ValidationError

from mcp_llm.types import events
from mcp_llm.types.chat import ChatRequest, ChatResponse
from mcp_llm.types.events import (
    AgentEnd,
    AgentStart,
    Approval,
    Budget,
    Compacted,
    ErrorEvent,
    Event,
    Fallback,
    Finish,
    JobEvent,
    ModelEnd,
    ModelStart,
    Resumed,
    Start,
    TaskEnd,
    TaskStart,
    TextEvent,
    ThinkingEvent,
    ToolEnd,
    ToolStart,
)
from mcp_llm.types.message import Media, Text, Thinking, ToolCall, assistant, user
from mcp_llm.types.result import Cost, Tokens
from mcp_llm.types.sinks import Callback, Fan

REPLY = ChatResponse(
    message=assistant(Thinking("hm", {"signature": "s"}), Text("\u2028é"), ToolCall("c", "t", '{"a": null}')),
    stop="stop",
)
EXAMPLES: list[Event] = [
    Start(prompt="hi", persona="reviewer", model="m", provider="p", kind="agent", parent_run="a", continued="b"),
    Resumed(after=3, attempt=2, may_have_run=("c",)),
    TextEvent(text="two\nlines\u2028and \u0085 more", model="m"),
    ThinkingEvent(summary="hm", model="m"),
    ModelStart(step=0, messages=(user("hi"),), settings=ChatRequest(messages=(), temperature=0.5)),
    ModelEnd(step=0, response=REPLY, usage=Tokens(input=1), cost=Cost(usd=0.5)),
    ToolStart(tool="fs__read", args={"path": None}, call_id="c", read_only=True),
    ToolEnd(
        tool="fs__read", args={}, result={"a": None}, call_id="c", parts=(Text("x"), Media("image/png", data="AA=="))
    ),
    Compacted(messages=(user("short"),), reason="window"),
    Fallback(provider="p", model="m", error="overloaded", status=529, backup_provider="q", backup_model="n"),
    Budget(limit="usd", used=1.0, cap=1.0, stopped=True),
    Approval(tool="fs__write", args={}, call_id="c", state="asked", deadline=5),
    AgentStart(agent="reviewer", child_run="x", depth=1),
    AgentEnd(agent="reviewer", child_run="x", result="ok"),
    TaskStart(task="a", item="notes/x.md", method="llm/generate", args={"prompt": "hi"}, attempt=2, why="overloaded"),
    TaskEnd(
        task="a", item="notes/x.md", status="completed", result={"response": "x"}, attempts=2, usage=Tokens(input=1)
    ),
    JobEvent(state="running", provider="p", model="m", job_id="batch_1", done=1, total=2, data={"endpoint": "x"}),
    Finish(result={"response": "x"}, usage=Tokens(output=2), stop_reason="budget"),
    ErrorEvent(error="no", kind="auth", trace=None),
]


def names(types: Any) -> list[str]:
    return [one.model_fields["event"].default for one in types]


def test_the_published_schema_is_the_one_of_the_code() -> None:
    path = Path(events.__file__).with_name("events.schema.json")
    assert json.loads(path.read_text(encoding="utf-8")) == events.schema(), (
        "run: python -c 'import json; from mcp_llm.types import events; "
        "print(json.dumps(events.schema(), indent=1, ensure_ascii=False))' > mcp_llm/types/events.schema.json"
    )


def test_every_event_has_an_example_here() -> None:
    assert names(type(one) for one in EXAMPLES) == names(get_args(Event))


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.event)
def test_an_event_comes_back_from_its_json_and_fits_the_schema(event: Event) -> None:
    assert events.decode(events.encode(event)) == event
    validator = jsonschema.Draft202012Validator(events.schema())
    for data in (events.dump(event), json.loads(json.dumps(events.dump(event)))):
        validator.validate(data)
    assert list(events.dump(event))[:5] == ["event", "v", "ts", "run_id", "seq"]


@pytest.mark.parametrize(
    "data",
    [
        {"event": "start", "prompt": "x"},
        {"v": 2, "event": "text", "ts": 0, "run_id": "r", "seq": 0, "text": "x"},
        {"v": 1, "event": "shout", "ts": 0, "run_id": "r", "seq": 0},
        {"v": 1, "event": "text", "ts": 0, "run_id": "r", "seq": 0, "text": "x", "more": 1},
    ],
)
def test_the_schema_refuses_what_is_no_event(data: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(events.schema()).is_valid(data)


def test_an_unknown_event_is_refused() -> None:
    with pytest.raises(ValidationError):
        events.decode('{"v":1,"event":"shout","ts":0,"run_id":"r","seq":0}')


def test_a_lone_surrogate_costs_one_character_not_the_event() -> None:
    assert events.decode(events.encode(TextEvent(text="a\ud800b"))) == TextEvent(text="a\ufffdb")


def test_a_sink_that_raises_is_left_out_and_the_others_go_on() -> None:
    seen: list[dict[str, Any]] = []

    def broken(event: dict[str, Any]) -> None:
        raise ValueError("no room")

    fan = Fan(Callback(broken), Callback(seen.append))
    fan.emit(TextEvent(text="a"))
    fan.emit(TextEvent(text="b"))
    assert [event["text"] for event in seen] == ["a", "b"]
    assert fan.failed == ["Callback failed on text with ValueError: no room"]
