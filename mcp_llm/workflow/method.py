"""A method: what a task can call, what it takes, what it gives, and whether it may be called again after a crash."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from mcp_llm.errors import InvalidInput
from mcp_llm.types.nearest import nearest

from .template import MISSING, child, references

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from mcp_llm.llm.service import Service
    from mcp_llm.runs.approval import Approvals, Approver
    from mcp_llm.runs.store import RunStore
    from mcp_llm.toolsets.base import Tool
    from mcp_llm.types.result import Cost, Tokens

    from .allowance import Allowance
    from .boundaries import Boundaries

Place = tuple[str | int, ...]


@dataclass(slots=True)
class Host:
    """What a workflow needs of the process that runs it.

    `methods` are methods that stand above this layer (agents), `approver` asks a person about a tool, `keep` says,
    when the run is cancelled from outside, whether it is to be gone on with later.
    """

    service: Service
    runs: RunStore
    boundaries: Boundaries
    methods: Mapping[str, Method] = field(default_factory=dict)
    approver: Approver | None = None
    tell: Callable[[str], None] = lambda _: None
    keep: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class Call:
    """One call: its parameters (as the method's model where it has one), and what it is part of.

    `child_id` is an id of its own, the same again when it is begun again after a crash; `again` says that it is.
    """

    host: Host
    run_id: str
    principal: str
    task_id: str
    child_id: str
    parameters: Any
    allowance: Allowance
    approvals: Approvals
    again: bool = False
    trace: dict[str, Any] | None = None
    """Where the run stands in another server's tree, for the agents in it."""


@dataclass(slots=True)
class Done:
    """What a call came to; `usage` and `cost` are None where no model was asked. `metadata` goes into the result."""

    result: dict[str, Any]
    usage: Tokens | None = None
    cost: Cost | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """`takes` is a pydantic model, a JSON Schema, or None where nobody knows; `gives` are the fields of its result.

    `repeatable`: a call that was cut off may be made again, since it changes nothing beyond what it may cost.
    """

    call: Callable[[Call], Awaitable[Done]]
    takes: type[BaseModel] | dict[str, Any] | None = None
    gives: frozenset[str] | None = None
    repeatable: bool = False
    estimate: Callable[[Service, Any], Awaitable[dict[str, Any]]] | None = None
    """What one call would cost, as `llm.generate.estimate` says it."""
    bound: bool = False
    """Only this process has it."""
    tool: Tool | None = None
    """What the user's policy says may be called, has to be asked about, or may not."""

    def faults(self, parameters: dict[str, Any]) -> list[tuple[Place, str]]:
        """What is wrong with parameters, as far as it can be told before their references are filled."""
        if isinstance(self.takes, dict):
            return list(_against_schema(parameters, self.takes))
        if self.takes is None:
            return []
        try:
            self.takes.model_validate(parameters)
        except ValidationError as exc:
            known = [field.alias or name for name, field in self.takes.model_fields.items()]
            return list(explained(exc, parameters, known))
        return []

    def read(self, parameters: dict[str, Any]) -> Any:
        """The filled parameters as the method takes them. Raises InvalidInput."""
        if self.takes is None or isinstance(self.takes, dict):
            return parameters  # whoever is called checks them
        try:
            return self.takes.model_validate(parameters)
        except ValidationError as exc:
            faults = explained(exc, {}, list(self.takes.model_fields))  # a `${` in them is text by now
            raise InvalidInput(
                "; ".join(f"{dotted(place)}: {words}" if place else words for place, words in faults)
            ) from None


async def _never(_: Call) -> Done:
    raise AssertionError("a workflow with an unknown method never runs")


UNKNOWN: Final = Method(_never)
"""Stands in for a method that there is not, while the rest of the file is checked."""


def explained(error: ValidationError, given: Any, known: Sequence[str]) -> Iterator[tuple[Place, str]]:
    """(place, sentence) for each fault, without those that a reference still to be filled may mend."""
    for fault in error.errors(include_url=False, include_input=False):
        place = fault["loc"]
        if fault["type"] != "extra_forbidden" and _pending(given, place):
            continue
        if fault["type"] == "missing":
            yield place, f"`{place[-1]}` is missing"
        elif fault["type"] == "extra_forbidden":
            yield place, unknown(str(place[-1]), known if len(place) == 1 else ())
        else:
            words = fault["msg"].removeprefix("Value error, ").replace("Tuple should", "List should")
            inner = place[2:] if place[:1] == ("tasks",) and place[1:] else place  # who says it names the task
            yield place, f"`{dotted(inner)}`: {words}" if inner and fault["type"] != "value_error" else words


def unknown(name: str, known: Sequence[str]) -> str:
    """A field that is not there, with the one that was probably meant."""
    close = nearest(name, known)
    hint = f"; did you mean `{close[0]}`?" if close else f"; there are {', '.join(known)}" if known else ""
    return f"there is no field `{name[:60]}`{hint}"


def dotted(place: Place) -> str:
    """A place as people write it."""
    return ".".join(str(step) for step in place)[:120]


def _pending(value: Any, place: Place) -> bool:
    """Whether the value at a place, or one on the way there, is a text with a reference in it."""
    for step in place:
        if isinstance(value, str):
            break
        if (value := child(value, step)) is MISSING:
            return False
    return isinstance(value, str) and "${" in value


def _against_schema(parameters: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    properties = schema.get("properties")
    names = list(properties) if isinstance(properties, dict) else []
    required = schema.get("required")
    missing = [name for name in required if name not in parameters] if isinstance(required, list) else []
    for name in missing:
        yield (str(name),), f"`{name}` is missing"
    closed = schema.get("additionalProperties") is False
    beyond = [name for name in parameters if closed and name not in names]
    for name in beyond:
        yield (name,), unknown(name, names)
    if missing or beyond or any(True for _ in references(parameters)):
        return
    from mcp_llm.schemas.validator import validate

    for words in validate(parameters, schema, what="the tool's schema"):
        yield (), words
