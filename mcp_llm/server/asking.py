"""Asking a person through the host: pushed while the call is open (handshake era), or handed back (2026-07-28).

What is handed back names the run that asks, so the call that comes again goes on with it and nothing is done twice.
Whatever is not a clear answer, or comes too late, is none; nothing waits without a deadline.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import anyio
from mcp import MCPError
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from pydantic import BaseModel, ValidationError

from . import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mcp.server.mcpserver import Context
    from mcp.server.session import ServerSession
    from mcp.types import InputRequest

    from mcp_llm.runs.questions import Question
    from mcp_llm.types.events import Event

    from .run import Run

CHOICE_S: Final = 60.0
"""Seconds a person has to choose while the call waits."""
APPROVE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"approve": {"type": "boolean", "title": "Allow", "description": "May it be called?"}},
    "required": ["approve"],
}


class State(BaseModel):
    """What a call that is handed back carries along: the run that asks (None: there is none yet), and how often.

    `known`: the caller had the run's id before, and giving up this call is not giving up the run.
    """

    run: str | None = None
    rounds: int = 0
    known: bool = False


def way(context: Context[Any]) -> Literal["push", "return"] | None:
    """How this host can be asked with a form now; None: not at all."""
    if not declared.forms(context.session):
        return None
    if context.session.can_send_request:
        return "push"
    return "return" if context.protocol_version in declared.MODERN else None


def returned(context: Context[Any]) -> State | None:
    """What the call carries that comes again; None for one that is new."""
    if not context.request_state:
        return None
    try:
        return State.model_validate_json(context.request_state)
    except ValidationError:  # sealed by us, so only by another version of us
        return None


def hand_back(requests: Mapping[str, InputRequest], state: State) -> InputRequiredResult:
    """The result that asks; the client makes the same call again with the answers."""
    return InputRequiredResult(input_requests={**requests}, request_state=state.model_dump_json())


def form(message: str, schema: dict[str, Any]) -> ElicitRequest:
    """One question."""
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def approvals(questions: Sequence[Question]) -> dict[str, ElicitRequest]:
    """The questions of a run, by their ids."""
    return {one.id: form(words(one.question), APPROVE) for one in questions}


def approved(answer: ElicitResult) -> bool:
    """Whether it is a yes: declined, cancelled and unclear are a no."""
    return answer.action == "accept" and (answer.content or {}).get("approve") is True


async def choose(run: Run, key: str, message: str, options: Sequence[str]) -> str | InputRequiredResult | None:
    """The option a person picks, or the result that asks for it; None where nobody can be asked, or does not pick."""
    schema = {
        "type": "object",
        "properties": {key: {"type": "string", "title": key.capitalize(), "enum": list(options)}},
        "required": [key],
    }
    context, how = run.context, way(run.context)
    if how == "return" and returned(context) is None:
        return hand_back({key: form(message, schema)}, State())
    answer: Any = (context.input_responses or {}).get(key) if how == "return" else None
    if how == "push":
        with anyio.move_on_after(CHOICE_S):
            answer = await push(context, message, schema)
    if not isinstance(answer, ElicitResult) or answer.action != "accept":
        return None
    picked = (answer.content or {}).get(key)
    return picked if isinstance(picked, str) and picked in options else None


async def push(context: Context[Any], message: str, schema: dict[str, Any]) -> ElicitResult | None:
    """The host's answer in the handshake era; None where it said that it can be asked, and cannot."""
    session: ServerSession = context.session
    try:
        return await session.elicit_form(message, schema, related_request_id=context.request_id)
    except (MCPError, ValidationError):
        return None


@dataclass(slots=True)
class Asking:
    """Asks for a run while the call that it belongs to is open; and says when the run asks otherwise."""

    run: Run
    leave: Callable[[], None] = lambda: None
    """Ends the call's patience."""
    detached: bool = False
    begun: anyio.Event = field(default_factory=anyio.Event)
    """Set once there is a run, or there will be none."""
    _open: list[anyio.CancelScope] = field(default_factory=list)

    async def approve(self, question: dict[str, Any]) -> Any:
        """The person's answer, or None where the host cannot be asked while the call is open."""
        if self._over() or way(self.run.context) != "push":
            return None
        with anyio.move_on_after(self.run.service.config.settings.agents.approval_s) as scope:
            self._open.append(scope)
            try:
                found = await push(self.run.context, words(question), APPROVE)
            finally:
                self._open.remove(scope)
            return None if found is None else approved(found)
        return None if self._over() else False

    def _over(self) -> bool:
        return self.detached

    def emit(self, event: Event) -> None:
        """There is a run; or it has a question, of which the caller has to know, who can answer it."""
        self.begun.set()
        if event.event == "approval" and event.state == "asked":
            self.leave()

    def close(self) -> None:
        """The call is over; what it was asking is asked otherwise."""
        self.detached = True
        for scope in self._open:
            scope.cancel()


def words(question: dict[str, Any]) -> str:
    """What a person reads before a tool is called."""
    if "args" not in question:
        return str(question.get("message", "May it go on?"))
    args = json.dumps(question["args"], ensure_ascii=False, indent=1)
    said = f"\nIt says of itself: {question['description']}" if question.get("description") else ""
    server = f" of the server {question['server']!r}" if question.get("server") else ""
    return f"An agent wants to call {question['tool']}{server} with\n{args}{said}"
