"""What happens in a run, as versioned values: journal, progress, callback and `--jsonl` all get these and nothing else.

No clock and no files here: the journal stamps `ts`, `run_id` and `seq`. `model_start` and `model_end` hold what a model
was asked and said in full, so that a run's events are enough to rebuild every request and to go on after a crash.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic_core import PydanticSerializationError

from mcp_llm.types.text import unbroken

from .chat import ChatRequest, ChatResponse
from .message import Json, Media, Message, Text, Value
from .result import Cost, Tokens

VERSION: Final = 1


class Head(Value):
    """What every event has: the schema's version `v`, epoch milliseconds `ts`, its run, its number `seq` there from 0.

    The same names mean the same in all: `model` and `provider` are who is asked or has answered, `usage` and `cost`
    tokens and dollars (null: unknown), `latency_ms` and `first_token_ms` milliseconds; `tool`, `args` and `call_id` a
    tool call, `run_id` and `child_run` runs, `message` and `reason` words for a person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    v: Literal[1] = VERSION
    ts: int = 0
    run_id: str = ""
    seq: int = 0


class Start(Head):
    """A run begins: its `prompt`, its `kind` (`generate`, `agent`, ...), and the `parent_run` that began it.

    `persona` is the agent's name; `continued` the run whose history it goes on with; `rerun_of` the run whose steps
    before `rerun_step` follow here as its own, unpaid.
    """

    event: Literal["start"] = "start"
    prompt: str
    persona: str | None = None
    model: str | None = None
    provider: str | None = None
    kind: str | None = None
    parent_run: str | None = None
    continued: str | None = None
    rerun_of: str | None = None
    rerun_step: int | None = None


class Resumed(Head):
    """Another process, or the same one restarted, goes on after event number `after`, for the `attempt`-th time."""

    event: Literal["resumed"] = "resumed"
    after: int
    attempt: int
    may_have_run: tuple[str, ...] = ()
    """Call ids of tools whose effects are unknown: they were started, may not be repeated, and have no result."""


class TextEvent(Head):
    """Words of the answer: as much `text` as came within a moment."""

    event: Literal["text"] = "text"
    text: str
    model: str | None = None


class ThinkingEvent(Head):
    """Reasoning as far as the vendor shows it: as much `summary` as came within a moment."""

    event: Literal["thinking"] = "thinking"
    summary: str
    model: str | None = None


class ModelStart(Head):
    """A model is about to be asked, the run's `step` from 0 on: `messages` are new since the last reply and results.

    `settings` is the request without messages; None where it is the same as the last time.
    """

    event: Literal["model_start"] = "model_start"
    step: int
    model: str | None = None
    provider: str | None = None
    messages: tuple[Message, ...] = ()
    settings: ChatRequest | None = None


class ModelEnd(Head):
    """The whole reply to a `step`, stored before it is used: `response` as the model gave it."""

    event: Literal["model_end"] = "model_end"
    step: int
    response: ChatResponse
    provider: str | None = None
    model: str | None = None
    usage: Tokens = Tokens()
    cost: Cost = Cost()
    latency_ms: int | None = None
    first_token_ms: int | None = None


class Lent(Value):
    """What another server of ours may use of the run's budget, or has used of it; None is not limited, or not said."""

    usd: float | None = None
    tokens: int | None = None


class ToolStart(Head):
    """A tool is about to be called; durable before it is.

    `read_only` and `idempotent` are its own hints: they say what may be done when no `tool_end` follows. `lent` is what
    another server of ours may use: spent, unless the end says less.
    """

    event: Literal["tool_start"] = "tool_start"
    tool: str
    args: Json = None
    call_id: str
    read_only: bool | None = None
    idempotent: bool | None = None
    lent: Lent | None = None

    @property
    def repeatable(self) -> bool:
        """True when calling it again does no harm."""
        return self.read_only is True or self.idempotent is True


class ToolEnd(Head):
    """What a tool answered: `result` as shown to the model, text or JSON; `is_error` where it failed.

    `parts` is the result as the model gets it where it is more than text; `rest` the handle of what was too long.
    `spent` is what another server of ours said that it used of what it was lent.
    """

    event: Literal["tool_end"] = "tool_end"
    tool: str
    args: Json = None
    result: Json = None
    call_id: str
    is_error: bool = False
    parts: tuple[Annotated[Text | Media, Field(discriminator="type")], ...] | None = None
    rest: str | None = None
    latency_ms: int | None = None
    spent: Lent | None = None


class Compacted(Head):
    """The history was made shorter: from here on it is these `messages`; what a summary used and cost, if one was."""

    event: Literal["compacted"] = "compacted"
    messages: tuple[Message, ...]
    reason: str | None = None
    usage: Tokens | None = None
    cost: Cost | None = None


class Fallback(Head):
    """`provider`:`model` failed or could not be asked, and `backup_provider`:`backup_model` is asked instead.

    `error` is the kind of the failure, `status` its HTTP status.
    """

    event: Literal["fallback"] = "fallback"
    provider: str
    model: str
    error: str
    message: str = ""
    status: int | None = None
    backup_provider: str | None = None
    backup_model: str | None = None
    reason: Literal["preflight", "on_failure"] = "on_failure"


class Budget(Head):
    """A limit (`usd`, `tokens`, `calls`, `turns`, `seconds`, `depth`, `children`) is near, or has `stopped` the run.

    `limit` names it, `used` of `cap` is how far it is.
    """

    event: Literal["budget"] = "budget"
    limit: str
    used: float | None = None
    cap: float | None = None
    stopped: bool = False
    message: str | None = None


class Approval(Head):
    """A tool call waits for a yes (`state` asked), or has its answer; `by` says whose (`policy`, `user`, `deadline`).

    `deadline` is the epoch millisecond after which the answer is no.
    """

    event: Literal["approval"] = "approval"
    tool: str
    args: Json = None
    call_id: str
    state: Literal["asked", "allowed", "denied"]
    by: str | None = None
    deadline: int | None = None
    message: str | None = None


class AgentStart(Head):
    """The delegate `agent` begins with its `prompt`, as a run of its own, `depth` runs below the first."""

    event: Literal["agent_start"] = "agent_start"
    agent: str
    child_run: str | None = None
    call_id: str | None = None
    prompt: str | None = None
    model: str | None = None
    depth: int | None = None


class AgentEnd(Head):
    """The delegate `agent` is done; `status` is how it ended, `result` what it said."""

    event: Literal["agent_end"] = "agent_end"
    agent: str
    child_run: str | None = None
    call_id: str | None = None
    status: str = "finished"
    result: Json = None
    usage: Tokens = Tokens()
    cost: Cost = Cost()


class TaskStart(Head):
    """A workflow's `task` is about to call its `method`, for the `attempt`-th time.

    `item` is the file of a batch, `why` the last error. `repeatable`: should no `task_end` follow, doing it again
    changes nothing beyond what it may cost.
    """

    event: Literal["task_start"] = "task_start"
    task: str
    item: str | None = None
    method: str
    args: Json = None
    attempt: int = 1
    repeatable: bool = False
    why: str | None = None


class TaskEnd(Head):
    """What came of a `task` (of its `item`) after `attempts`, stored before anything that waits for it begins.

    `status` says how it ended, with its `result`, or its `error` and the error's `kind`; `metadata` is the task
    result's.
    """

    event: Literal["task_end"] = "task_end"
    task: str
    item: str | None = None
    status: Literal["completed", "failed", "skipped", "cancelled"]
    result: Json = None
    error: str | None = None
    kind: str | None = None
    attempts: int = 0
    latency_ms: int | None = None
    usage: Tokens | None = None
    cost: Cost | None = None
    metadata: Json = None


class JobEvent(Head):
    """Work that a provider does in its own time (a video, a batch): about to be submitted, and how it stands since.

    `state` says which, `job_id` is the provider's name for it, `done` of `total` how far it is. A `submitting` without
    a `submitted` after it may have been submitted. `data` is what asking for it needs.
    """

    event: Literal["job"] = "job"
    state: Literal["submitting", "submitted", "running", "ended", "failed", "cancelled", "expired"]
    provider: str
    model: str
    job_id: str | None = None
    done: int | None = None
    total: int | None = None
    message: str | None = None
    data: Json = None


class Finish(Head):
    """The run's `result`: text, or the whole result as JSON. `stop_reason` is `budget` where a limit ended it."""

    event: Literal["finish"] = "finish"
    result: Json = None
    usage: Tokens = Tokens()
    cost: Cost = Cost()
    stop_reason: str | None = None


class ErrorEvent(Head):
    """The run failed or was cancelled: `error` in words, `kind` of `mcp_llm.errors`, `partial` the words that had come.

    Of a provider's error also its HTTP `status`, its own `code`, `param` and `request_id`, and `retry_after` in
    seconds; `trace` stays empty here: no traceback leaves the process.
    """

    event: Literal["error"] = "error"
    error: str
    kind: str = "error"
    trace: str | None = None
    provider: str | None = None
    model: str | None = None
    status: int | None = None
    code: str | None = None
    param: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    partial: str | None = None


Event: TypeAlias = (
    Start
    | Resumed
    | TextEvent
    | ThinkingEvent
    | ModelStart
    | ModelEnd
    | ToolStart
    | ToolEnd
    | Compacted
    | Fallback
    | Budget
    | Approval
    | AgentStart
    | AgentEnd
    | TaskStart
    | TaskEnd
    | JobEvent
    | Finish
    | ErrorEvent
)
EVENT: TypeAdapter[Event] = TypeAdapter(
    Annotated[Event, Field(discriminator="event")], config=ConfigDict(defer_build=True)
)
LAST = (Finish, ErrorEvent)
"""One of these comes exactly once, as the last event."""


def dump(event: Event) -> dict[str, Any]:
    """The event as JSON values, nulls included."""
    head = {"event": event.event}
    return head | event.model_dump(mode="json")


def encode(event: Event) -> str:
    """The event as one line of JSON, nulls left out; a lone surrogate, which UTF-8 cannot say, becomes U+FFFD."""
    try:
        return event.model_dump_json(exclude_none=True)
    except PydanticSerializationError:
        text = json.dumps(event.model_dump(exclude_none=True), ensure_ascii=False, separators=(",", ":"), default=str)
        return unbroken(text)


def decode(data: str | bytes) -> Event:
    """An event from its JSON. Raises pydantic.ValidationError."""
    return EVENT.validate_json(data)


def schema() -> dict[str, Any]:
    """The JSON Schema of one event, as published in `events.schema.json` beside this module."""
    found = EVENT.json_schema(mode="validation")
    for one in get_args(Event):
        definition = found["$defs"][one.__name__]
        definition["required"] = ["v", "event", "ts", "run_id", "seq", *definition.get("required", ())]
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"mcp-llm event, version {VERSION}"}
    return {**title, **_untitled(found)}


def _untitled(value: Any) -> Any:
    """Without the titles that pydantic makes of field names; a property that is called `title` stays."""
    if isinstance(value, list):
        return [_untitled(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: _untitled(one) for key, one in value.items() if not (key == "title" and isinstance(one, str))}
