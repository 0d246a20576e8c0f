"""Two runs beside one another: model calls, tool choices, answers, usage, cost and time, and where they part. Pure.

Whether they are the same is a question of what was said and done; who said it, how fast and for how much is shown.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mcp_llm.types.events import Start
from mcp_llm.types.message import Value
from mcp_llm.types.result import Cost, Tokens

from .recording import answered
from .replay import Difference, difference, shown, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mcp_llm.types.message import ToolCall

    from .recording import Recording
    from .replay import Step


class CallMade(Value):
    """A tool call: its arguments as JSON where they are that, what came back (None: nothing was stored)."""

    tool: str
    args: Any = None
    result: Any = None
    is_error: bool = False
    latency_ms: int | None = None


class Turn(Value):
    """One model call of a run, or one answer of a comparison."""

    model: str | None = None
    text: str = ""
    calls: tuple[CallMade, ...] = ()
    stop: str | None = None
    usage: Tokens = Tokens()
    cost: Cost = Cost()
    latency_ms: int | None = None


class Side(Value):
    """One run as a whole; unknown is None. The steps before `rerun_step` are those of the run `rerun_of`."""

    run_id: str
    kind: str
    status: str
    model: str | None = None
    rerun_of: str | None = None
    rerun_step: int | None = None
    prompt: str = ""
    answer: str | None = None
    error: str | None = None
    stop_reason: str | None = None
    turns: int | None = None
    calls: int | None = None
    usage: Tokens = Tokens()
    cost: Cost = Cost()
    latency_ms: int | None = None


class Pair(Value):
    """The same place in both runs. `differs` names what is not the same: request, text, calls, results."""

    index: int
    a: Turn | None
    b: Turn | None
    differs: tuple[str, ...] = ()


class RunDiff(Value):
    """Two runs. `parts_at` is the first step that is not the same, None where all are; `differs` lists where, and how.

    `same`: they asked, called and answered the same. Models, tokens, dollars and times may still differ.
    """

    a: Side
    b: Side
    steps: tuple[Pair, ...]
    same: bool
    parts_at: int | None = None
    differs: tuple[Difference, ...] = ()


def diff(a: Recording, b: Recording) -> RunDiff:
    """Compare them, step by step."""
    mine, theirs = steps(a.events), steps(b.events)
    ours, others = _turns(a, mine), _turns(b, theirs)
    pairs: list[Pair] = []
    found: list[Difference] = []
    for index in range(max(len(ours), len(others))):
        one, other = _at(ours, index), _at(others, index)
        asked = (_at(mine, index), _at(theirs, index))
        here = [*_request(index, *asked), *_differences(index, one, other)]
        pairs.append(Pair(index=index, a=one, b=other, differs=tuple(item.where.partition(":")[0] for item in here)))
        found += here
    sides = _side(a), _side(b)
    for where in ("answer", "error", "stop_reason"):
        left, right = (getattr(side, where) for side in sides)
        if left != right:
            found.append(Difference(step=None, where=where, recorded=shown(left), found=shown(right)))
    first = next((pair.index for pair in pairs if pair.differs), None)
    return RunDiff(a=sides[0], b=sides[1], steps=tuple(pairs), same=not found, parts_at=first, differs=tuple(found))


def _request(index: int, a: Step | None, b: Step | None) -> Iterable[Difference]:
    if a is not None and b is not None and (said := difference(index, a.request, b.request)) is not None:
        yield said.model_copy(update={"where": f"request: {said.where}"})


def _differences(index: int, a: Turn | None, b: Turn | None) -> Iterable[Difference]:
    if a is None or b is None:
        there, not_there = shown((a or b or Turn()).text), "(no such step)"
        one, other = (not_there, there) if a is None else (there, not_there)
        yield Difference(step=index, where="step", recorded=one, found=other)
        return
    if a.text != b.text:
        yield Difference(step=index, where="text", recorded=shown(a.text), found=shown(b.text))
    calls = [[(call.tool, call.args) for call in turn.calls] for turn in (a, b)]
    if calls[0] != calls[1]:
        yield Difference(step=index, where="calls", recorded=_said(a.calls), found=_said(b.calls))
        return
    for number, (left, right) in enumerate(zip(a.calls, b.calls, strict=True), 1):
        if (left.result, left.is_error) != (right.result, right.is_error):
            where = f"results: {left.tool}, call {number}"
            yield Difference(step=index, where=where, recorded=shown(left.result), found=shown(right.result))


def _said(calls: Sequence[CallMade]) -> str:
    return shown(", ".join(f"{call.tool}({json.dumps(call.args, ensure_ascii=False)})" for call in calls) or "no call")


def _at(items: Sequence[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


def _turns(recording: Recording, found: Sequence[Step]) -> list[Turn]:
    if found:
        return [_turn(step) for step in found]
    answers = recording.header.result.get("results")
    return [_answer(one) for one in answers if isinstance(one, dict)] if isinstance(answers, list) else []


def _turn(step: Step) -> Turn:
    reply = step.replied
    name = ":".join(word for word in (step.provider, step.model) if word) or None
    if reply is None:
        return Turn(model=name)
    results = {event.call_id: event for event in step.tools}
    return Turn(
        model=name,
        text=reply.response.text,
        calls=tuple(_call(call, results.get(call.id)) for call in reply.response.message.tool_calls),
        stop=reply.response.stop,
        usage=reply.usage,
        cost=reply.cost,
        latency_ms=reply.latency_ms,
    )


def _call(call: ToolCall, end: Any) -> CallMade:
    try:
        args = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        args = call.arguments
    if end is None:
        return CallMade(tool=call.name, args=args)
    return CallMade(tool=call.name, args=args, result=end.result, is_error=end.is_error, latency_ms=end.latency_ms)


def _answer(one: dict[str, Any]) -> Turn:
    """An answer of a comparison, as its result has it."""
    failed = one.get("error")
    words = one.get("response") or (failed.get("message") if isinstance(failed, dict) else failed) or ""
    return Turn(
        model=_text(one.get("model")),
        text=str(words),
        stop=_text(one.get("finish_reason")),
        usage=_value(Tokens, one.get("usage")),
        cost=_value(Cost, one.get("cost")),
        latency_ms=_number(one.get("latency_ms")),
    )


def _side(recording: Recording) -> Side:
    head, result = recording.header, answered(recording)
    start = next((event for event in recording.events if isinstance(event, Start)), None)
    return Side(
        run_id=head.id,
        kind=head.kind,
        status=head.status,
        model=_text(result.get("model_used")) or head.model,
        rerun_of=start.rerun_of if start else None,
        rerun_step=start.rerun_step if start else None,
        prompt=start.prompt if start else "",
        answer=_text(result.get("response")),
        error=_text(result.get("error")),
        stop_reason=_text(result.get("stop_reason")) or _text(result.get("finish_reason")),
        turns=_number(result.get("turns")),
        calls=_number(result.get("calls")),
        usage=_value(Tokens, result.get("usage")),
        cost=_value(Cost, result.get("cost")),
        latency_ms=_number(result.get("latency_ms")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _value(kind: Any, given: Any) -> Any:
    """Results are JSON of any version, and of files: what does not fit is unknown."""
    try:
        return kind.model_validate(given) if isinstance(given, dict) else kind()
    except ValidationError:
        return kind()
