"""What a workflow is, and what comes of one: values, checked by type and by nothing else."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from mcp_llm.types.message import Value
from mcp_llm.types.result import Cost, Tokens, dollars

MOST_TASKS: Final = 1000
RESERVED: Final = frozenset({"inputs", "file", "env", "config", "secrets"})
"""No task may be called so: `inputs` and `file` are references of their own, the others must not look like any."""

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Kind = Literal["string", "number", "integer", "boolean", "array", "object", "any"]
Priority = Annotated[
    int, BeforeValidator(lambda value: PRIORITIES.get(value, value) if isinstance(value, str) else value)
]
PRIORITIES: Final = {"low": -10, "normal": 0, "high": 10, "urgent": 20}


class Input(Value):
    """A value that the caller gives. Without a default it has to be given. `"string"` is short for its type alone."""

    type: Kind = "string"
    description: str | None = None
    default: Any = None
    required: bool | None = None
    enum: tuple[Any, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"type": value} if isinstance(value, str) else {} if value is None else value

    @property
    def needed(self) -> bool:
        """Whether a caller has to give it."""
        return self.required if self.required is not None else "default" not in self.model_fields_set


class Retry(Value):
    """How often a task is tried whose error another attempt may help; delays are seconds.

    The n-th wait is at most `base_delay` (fixed), n times it (linear), or twice the one before (exponential), never
    over `max_delay`; with `jitter` it is anything between nothing and that. `3` is short for `max_attempts: 3`.
    """

    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    backoff: Literal["exponential", "linear", "fixed"] = "exponential"
    base_delay: Annotated[float, Field(ge=0, le=3600)] = 1.0
    max_delay: Annotated[float, Field(ge=0, le=3600)] = 60.0
    jitter: bool = True

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"max_attempts": value} if isinstance(value, int | str) else value

    def longest(self, attempt: int) -> float:
        """The wait after the n-th attempt (the first is 1), without jitter."""
        factor = {"exponential": 2.0 ** (attempt - 1), "linear": float(attempt), "fixed": 1.0}[self.backoff]
        return min(self.max_delay, self.base_delay * factor)


class Template(Value):
    """What a batch does with each file."""

    method: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class Task(Value):
    """One step. A `batch` runs its `template` for each file of `directory` that fits `pattern`, the rest run `method`.

    Tasks that are ready start by `priority`, higher first, then in the order of the file.
    """

    id: Id
    type: Literal["task", "batch"] = "task"
    description: str | None = None
    method: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    directory: str | None = None
    pattern: str = "*"
    template: Template | None = None
    dependencies: tuple[str, ...] = ()
    when: bool | str = True
    timeout: Seconds | None = None
    retry: Retry = Retry(max_attempts=1)
    priority: Priority = 0
    tags: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Task:
        if self.type == "batch":
            if self.directory is None or self.template is None:
                raise ValueError("a batch needs `directory` and `template` (with `method` and `parameters`)")
            if self.method is not None or self.parameters:
                raise ValueError("a batch has its `method` and `parameters` in `template`")
        elif self.method is None:
            raise ValueError("`method` is missing")
        elif self.directory is not None or self.template is not None:
            raise ValueError("`directory` and `template` belong to a task of `type: batch`")
        return self

    @property
    def call(self) -> Template:
        """What is called, once or for each file."""
        return self.template or Template(method=self.method or "", parameters=self.parameters)


class Workflow(Value):
    """The file. `outputs` are values made of the tasks' results; `budget_usd` is the most it may cost."""

    name: str
    description: str | None = None
    version: str | int | float | None = None
    inputs: dict[Id, Input] = Field(default_factory=dict)
    tasks: Annotated[tuple[Task, ...], Field(min_length=1, max_length=MOST_TASKS)]
    outputs: dict[str, Any] = Field(default_factory=dict)
    max_parallel_tasks: Annotated[int | None, Field(ge=1, le=256)] = None
    timeout: Seconds | None = None
    budget_usd: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None


Status = Literal["completed", "failed", "skipped", "cancelled"]


class TaskResult(Value):
    """What came of a task; times are epoch seconds, None where it never began.

    `skipped`: its `when` was not so, or what it needs has no result; `error` says which. `metadata` has the method,
    the attempts, and of a call its model and run id; usage and cost are in its `result`.
    """

    task_id: str
    """Its id in the file."""
    status: Status
    """How it ended."""
    result: Any = None
    """What its method gave."""
    error: str | None = None
    started_at: float | None = None
    """When it began."""
    completed_at: float | None = None
    """When it ended."""
    duration_seconds: float | None = None
    """Seconds between the two."""
    metadata: dict[str, Any] = Field(default_factory=dict)


class WorkflowResult(Value):
    """What came of a workflow. `status` is `completed`, or `failed` where a task failed; what was done is in `tasks`.

    `response` is the outputs as text, without outputs the results of the tasks that no other waits for.
    """

    response: str
    workflow: str
    """The name in the file."""
    status: Literal["completed", "failed"]
    error: str | None = None
    """Why it failed, in one sentence."""
    outputs: dict[str, Any] = Field(default_factory=dict)
    """The values that the file asks for under `outputs`."""
    tasks: tuple[TaskResult, ...] = ()
    stop_reason: Literal["stop", "budget", "timeout", "failed"] = "stop"
    """`budget` and `timeout` are limits that ended it."""
    usage: Tokens = Tokens()
    """Tokens of all tasks."""
    cost: Cost = Cost()
    """Dollars of all tasks; unknown where one of them is."""
    latency_ms: int | None = None
    """Milliseconds."""
    run_id: str
    """The id under which it is kept."""
    warnings: tuple[str, ...] = ()
    """What was noticed on the way."""

    def task(self, task_id: str) -> TaskResult:
        """One task's result. Raises KeyError."""
        return {one.task_id: one for one in self.tasks}[task_id]

    @property
    def receipt(self) -> str:
        """One line: the workflow, how its tasks ended, cost, seconds, run id."""
        counts = [(status, sum(one.status == status for one in self.tasks)) for status in _STATES]
        words = [self.workflow, ", ".join(f"{count} {status}" for status, count in counts if count)]
        if self.cost.usd is not None:
            words.append(dollars(self.cost.usd) if self.cost.usd else "free")
        elif self.usage.total is not None:
            words.append("cost unknown")
        if self.latency_ms is not None:
            words.append(f"{self.latency_ms / 1000:.1f} s")
        return " · ".join([*words, f"run {self.run_id}"])


_STATES: Final = ("completed", "failed", "skipped", "cancelled")
