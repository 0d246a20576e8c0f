"""Two runs side by side: what was asked, called and answered, and what it took."""

from __future__ import annotations

from typing import Any

from mcp_llm.runs.diff import CallMade, Pair, Side, Turn, diff
from mcp_llm.runs.recording import Header, Recording
from mcp_llm.runs.replay import Difference
from mcp_llm.types.chat import ChatResponse
from mcp_llm.types.events import Event, Finish, ModelEnd, ModelStart, Start, ToolEnd
from mcp_llm.types.message import ToolCall, assistant, user
from mcp_llm.types.result import Cost, Tokens


def run(*events: Event, run_id: str = "a", kind: str = "agent", **result: Any) -> Recording:
    whole = [Start(prompt="go"), *events, Finish(result=result.get("response"))]
    head = Header(
        id=run_id, kind=kind, status="finished", created=1, updated=2, model="m", result=result, events=len(whole)
    )
    return Recording(head, whole)


def asked(step: int, *words: str) -> ModelStart:
    return ModelStart(step=step, model="m", provider="p", messages=tuple(user(word) for word in words))


def replied(step: int, *parts: Any, usd: float | None = None, model: str = "m", ms: int | None = None) -> ModelEnd:
    return ModelEnd(
        step=step,
        response=ChatResponse(message=assistant(*parts), stop="stop"),
        provider="p",
        model=model,
        usage=Tokens(input=5, output=2),
        cost=Cost(usd=usd),
        latency_ms=ms,
    )


def called(result: str, **more: Any) -> ToolEnd:
    return ToolEnd(tool="add", args={"a": 1}, result=result, call_id="c", latency_ms=3, **more)


ADD = ToolCall("c", "add", '{"a": 1}')
ONE = run(asked(0, "go"), replied(0, ADD), called("1"), asked(1), replied(1, "1"), response="1", turns=2, calls=1)


def test_the_same_said_and_done_is_the_same_whoever_said_it_and_for_how_much() -> None:
    other = run(
        *(asked(0, "go"), replied(0, ADD, usd=0.25, model="n", ms=900), called("1")),
        *(asked(1), replied(1, "1", usd=0.5, model="n")),
        run_id="b",
        response="1",
        turns=2,
        model_used="n",
        usage={"input": 10, "output": 4},
        cost={"usd": 0.75},
        latency_ms=1000,
        stop_reason="stop",
    )
    found = diff(ONE, other)
    stopped = [one for one in found.differs if one.where != "stop_reason"]
    assert (stopped, found.parts_at) == ([], None)
    call = CallMade(tool="add", args={"a": 1}, result="1", latency_ms=3)
    usage = Tokens(input=5, output=2)
    assert found.steps[0] == Pair(
        index=0,
        a=Turn(model="p:m", calls=(call,), stop="stop", usage=usage),
        b=Turn(model="p:n", calls=(call,), stop="stop", usage=usage, cost=Cost(usd=0.25), latency_ms=900),
    )
    assert found.b == Side(
        run_id="b",
        kind="agent",
        status="finished",
        model="n",
        prompt="go",
        answer="1",
        stop_reason="stop",
        turns=2,
        usage=Tokens(input=10, output=4),
        cost=Cost(usd=0.75),
        latency_ms=1000,
    )


def test_a_run_is_the_same_as_itself() -> None:
    found = diff(ONE, ONE)
    assert (found.same, found.differs, [pair.differs for pair in found.steps]) == (True, (), [(), ()])


def test_the_first_step_that_parts_is_named_and_how() -> None:
    other = run(asked(0, "go"), replied(0, ADD), called("2", is_error=True), asked(1), replied(1, "2"), response="2")
    found = diff(ONE, other)
    assert (found.same, found.parts_at) == (False, 0)
    assert [pair.differs for pair in found.steps] == [("results",), ("request", "text")]
    assert [(one.step, one.where) for one in found.differs] == [
        *((0, "results: add, call 1"), (1, "request: message 3"), (1, "text"), (None, "answer")),
    ]


def test_other_calls_and_missing_steps_are_differences() -> None:
    other = run(asked(0, "go"), replied(0, ToolCall("c", "sub", "{,")), response="1", turns=2)
    assert [*diff(ONE, other).differs] == [
        Difference(step=0, where="calls", recorded='add({"a": 1})', found='sub("{,")'),
        Difference(step=1, where="step", recorded="1", found="(no such step)"),
    ]
    assert diff(other, ONE).steps[1].a is None


def test_answers_of_a_comparison_are_its_steps() -> None:
    answers = [
        {"model": "a", "response": "yes", "usage": {"input": 1}, "cost": {"usd": 0.5}, "latency_ms": 7},
        {"model": "b", "error": {"kind": "auth", "message": "no key"}},
    ]
    found = diff(run(kind="compare_models", results=answers), run(kind="compare_models", results=answers[:1]))
    assert [pair.a for pair in found.steps] == [
        Turn(model="a", text="yes", usage=Tokens(input=1), cost=Cost(usd=0.5), latency_ms=7),
        Turn(model="b", text="no key"),
    ]
    assert [(one.step, one.where) for one in found.differs] == [(1, "step")]


def test_where_a_rerun_came_from_is_said() -> None:
    again = Recording(ONE.header, [Start(prompt="go", rerun_of="x", rerun_step=1), *ONE.events[1:]])
    found = diff(ONE, again)
    assert (found.a.rerun_of, found.b.rerun_of, found.b.rerun_step) == (None, "x", 1)


def test_a_result_of_another_shape_is_unknown_and_no_crash() -> None:
    odd = run(kind="generate", usage=[1], cost={"usd": "much"}, turns="many", latency_ms=True, results=["x"], model=[])
    assert diff(odd, odd).a == Side(run_id="a", kind="generate", status="finished", model="m", prompt="go")
