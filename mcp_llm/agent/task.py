"""What a run of an agent is given and what it gives back: values that survive the process, in the run's request."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from mcp_llm.types.chat import Effort
from mcp_llm.types.message import Value
from mcp_llm.types.result import Generated

if TYPE_CHECKING:
    from mcp_llm.settings import Agents

KIND: Final = "agent"
DELEGATE: Final = "delegate"
"""The kind of a run that another one began: it is gone on with by that one, not by itself."""
BOUND: Final = "agent.bound"
"""The kind of a run with tools that only this process has: nobody else can go on with it."""

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1)]


class Limits(Value):
    """What a run may use; None is: not said. See `[agents]` in the settings for what each counts.

    `depth` is how many delegates may still stand below one another, 0 forbids them.
    """

    usd: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    tokens: _Count | None = None
    calls: _Count | None = None
    turns: _Count | None = None
    seconds: _Seconds | None = None
    depth: Annotated[int | None, Field(ge=0)] = None
    children: Annotated[int | None, Field(ge=0)] = None

    def within(self, other: Limits) -> Limits:
        """The tighter of both, limit by limit."""
        found = {}
        for name in Limits.model_fields:
            said = [value for one in (self, other) if (value := getattr(one, name)) is not None]
            found[name] = min(said, default=None)
        return Limits(**found)

    def filled(self, settings: Agents) -> Limits:
        """With the settings' values where nothing is said."""
        usual = {name: getattr(settings, name) for name in Limits.model_fields}
        usual["usd"] = float(settings.usd)
        said = {name: value for name in usual if (value := getattr(self, name)) is not None}
        return Limits(**{**usual, **said})


class Ancestor(Value):
    """A run above this one whose dollars and tokens it shares."""

    run_id: str
    usd: float | None = None
    tokens: int | None = None
    assumed: bool = False
    """Nobody said the dollars: they are the settings'."""


TRACE: Final = "mcp-llm/trace"
"""The key in `_meta` under which a run tells another server of ours where it stands."""


class Trace(Value):
    """Where a run stands in its tree, as it travels to another server of ours in `_meta`: it can only shrink.

    `path` are the agents above, `budget` what may be used below, its `depth` the levels that are left.
    """

    root: str = Field(max_length=128)
    run_id: str = Field(max_length=128)
    depth: Annotated[int, Field(ge=0, le=1000, strict=True)] = 0
    path: Annotated[tuple[Annotated[str, Field(max_length=128)], ...], Field(max_length=64)] = ()
    budget: Limits = Limits()


class Rerun(Value):
    """The steps of another run that a run begins with: those before `step`, as they were."""

    run_id: str = Field(max_length=64)
    step: Annotated[int, Field(ge=0)]


class Task(Value):
    """What is to be done, by whom, with what. None is: not said; an agent's file, then the settings decide.

    `servers` are names from the settings, `tools` globs of the names under which tools are offered. `fence` holds the
    lists that were named further up: a run never has more than those above it. `shared` are the runs whose budget it
    shares, the root first.
    """

    prompt: str
    model: str | None = None
    agent: str | None = None
    persona: str | None = None
    context: str | None = None
    servers: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    instruction: str | None = None
    extra_context: str | None = None
    arguments: dict[str, str] = Field(default_factory=dict)
    continue_from: str | None = None
    rerun: Rerun | None = None
    json_schema: dict[str, Any] | None = None
    effort: Effort | None = None
    max_tokens: _Count | None = None
    temperature: Annotated[float | None, Field(allow_inf_nan=False)] = None
    options: dict[str, Any] = Field(default_factory=dict)
    budget: Limits = Limits()
    principal: str = "local"
    trace: Trace | None = None
    shared: tuple[Ancestor, ...] = ()
    server_fence: tuple[str, ...] | None = None
    tool_fence: tuple[tuple[str, ...], ...] = ()


class AgentResult(Generated):
    """The answer with the receipt of the whole run, delegates included.

    `stop_reason` is `stop`, `length`, `budget` (a limit ended it) or `repeat` (it called the same again and again); in
    the last two `response` is what there was. `turns` are replies of the model, `calls` tool calls.
    """

    stop_reason: str = "stop"
    turns: int = 0
    calls: int = 0

    @property
    def receipt(self) -> str:
        """One line: model, tokens, cost, seconds, turns, calls, run id."""
        head, _, run = super().receipt.rpartition(" · ")
        ended = "" if self.stop_reason in {"stop", self.finish_reason} else f"ended by: {self.stop_reason} · "
        done = f"{_count(self.turns, 'turn')}, {_count(self.calls, 'call')}"
        return f"{head} · {done} · {ended}{run}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def dollars(usd: float | None) -> Decimal | None:
    """As the ledger counts."""
    return None if usd is None else Decimal(str(usd))
