"""Agents as files, and as tools of one another: a delegate is a run of its own, with its share of the budget.

Its id is made of the call that began it, so that a run which is gone on with finds its delegates where they stood.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import BudgetExceeded, Conflict, Error, InvalidInput
from mcp_llm.runs import wait
from mcp_llm.toolsets.base import Tool, Tools, failed, fingerprint
from mcp_llm.types.chat import ToolSpec
from mcp_llm.types.events import AgentEnd, AgentStart
from mcp_llm.types.message import Text, ToolResult
from mcp_llm.types.nearest import nearest

from .task import AgentResult, Limits, Task, Trace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mcp_llm.prompts import Prompt, Prompts
    from mcp_llm.runs.store import RunStore
    from mcp_llm.types.events import Event

    from .limits import Meter, Tree

USUAL: Final = "agent"
"""The agent that is meant where none is named."""
PREFIX: Final = "ask_"
_SHARE: Final = 0.95
"""Of the seconds left: the rest is for the answer that is made of a delegate's."""


def find(prompts: Prompts, name: str) -> Prompt:
    """The agent of this name. Raises InvalidInput with near misses."""
    known = prompts.agents()
    if name not in known:
        close = nearest(name, known)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known) or 'none'}."
        raise InvalidInput(f'there is no agent {name[:80]!r}; {hint} An agent is a prompt file with `kind = "agent"`.')
    return known[name]


def instruction(prompt: Prompt | None, task: Task) -> str:
    """The system's words: the agent's body with its slots filled, then what the caller adds."""
    if prompt is None:
        return task.instruction or ""
    values = dict(task.arguments)
    missing = [one.name for one in prompt.front.arguments if one.required and not values.get(one.name)]
    if len(missing) == 1:
        values[missing[0]] = task.prompt
    body = prompt.render(values).strip()
    return f"{body}\n\n{task.instruction}" if task.instruction else body


@dataclass(slots=True)
class Delegates:
    """Other agents as tools `ask_<agent>`. `spawn` runs a task under an id to its end, or goes on with the one there.

    `said`: somebody asked for the dollars of this run; else a delegate's are the settings' as well.
    """

    agents: Mapping[str, Prompt]
    task: Task
    trace: Trace
    meter: Meter
    tree: Tree
    runs: RunStore
    left: Callable[[], Awaitable[Limits]]
    append: Callable[[Event], Awaitable[Any]]
    spawn: Callable[[Task, str], Awaitable[AgentResult]]
    fences: tuple[tuple[str, ...] | None, tuple[tuple[str, ...], ...]]
    said: bool

    async def list(self) -> Tools:
        """One tool for each."""
        return [_tool(name, prompt) for name, prompt in self.agents.items()]

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        call_id: str = "",
        meta: dict[str, Any] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        """Ask the agent and wait for what it says."""
        agent = next((one for one in self.agents if tool_name(one) == name), None)
        if agent is None:
            return failed(call_id, name, f"There is no agent {name!r}.")
        if agent in self.trace.path:
            way = " -> ".join((*self.trace.path, agent))
            return failed(call_id, name, f"{agent} was not asked: it is waiting for this very answer ({way}).")
        child = hashlib.sha256(f"{self.meter.run_id} {call_id}".encode()).hexdigest()[:32]
        call = call_id.partition("-")[2]
        if not await self._begun(child):
            try:
                self.meter.delegate(self.tree, agent)
            except BudgetExceeded as exc:
                return failed(call_id, name, str(exc))
        task = await self._task(agent, arguments)
        depth = self.trace.depth + 1
        await self.append(
            AgentStart(agent=agent, child_run=child, call_id=call, prompt=task.prompt, model=task.model, depth=depth)
        )
        try:
            result = await self.spawn(task, child)
        except Error as exc:
            await self.append(AgentEnd(agent=agent, child_run=child, call_id=call, status="failed", result=str(exc)))
            return failed(call_id, name, f"{agent} failed: {str(exc)[:2000]}")
        await self.append(
            AgentEnd(
                agent=agent,
                child_run=child,
                call_id=call,
                status="finished" if result.stop_reason == "stop" else result.stop_reason,
                result=result.response,
                usage=result.usage,
                cost=result.cost,
            )
        )
        words = result.response or "(no words)"
        if result.stop_reason != "stop":
            words += f"\n[{agent} was ended early: {result.stop_reason}. {' '.join(result.warnings)[:500]}]"
        return ToolResult(call_id, name, (Text(words),))

    async def _begun(self, child: str) -> bool:
        try:
            await self.runs.get(child, self.task.principal)
        except InvalidInput:
            return False
        return True

    async def _task(self, agent: str, arguments: dict[str, Any]) -> Task:
        front = self.agents[agent].front
        left = await self.left()
        budget = Limits.model_validate(front.budget.model_dump())
        if left.seconds is not None:
            left = left.model_copy(update={"seconds": left.seconds * _SHARE})
        if not self.said and budget.usd is None:
            left = left.model_copy(update={"usd": None})
        own = front.model or front.tier or front.context
        servers, tools = self.fences
        return Task(
            prompt=str(arguments["task"]),
            extra_context=str(arguments["context"]) if arguments.get("context") else None,
            agent=agent,
            model=None if own else self.task.model,
            principal=self.task.principal,
            budget=budget.within(left),
            trace=Trace(
                root=self.trace.root,
                run_id=self.meter.run_id,
                depth=self.trace.depth + 1,
                path=(*self.trace.path, agent),
            ),
            shared=self.meter.below(said=self.said),
            server_fence=servers,
            tool_fence=tools,
        )


def tool_name(agent: str) -> str:
    """Its tool's name, which is nobody else's; `Group` spells it as vendors want it, with a mark where it has to."""
    return f"{PREFIX}{agent}"


def _tool(agent: str, prompt: Prompt) -> Tool:
    front = prompt.front
    said = f"Ask the agent {agent!r}: {front.title}. {front.description}".strip()
    words = f"{said} It knows nothing of this conversation: give it all it needs."
    parameters = {
        "type": "object",
        "properties": {
            "task": {"type": "string", "description": "what it should do, complete in itself"},
            "context": {"type": "string", "description": "texts and facts that it needs for it"},
        },
        "required": ["task"],
        "additionalProperties": False,
    }
    # Asked again after a crash it goes on with the run that it began: nothing happens twice.
    return Tool(
        spec=ToolSpec(name=tool_name(agent), description=words, parameters=parameters),
        title=front.title,
        idempotent=True,
        fingerprint=fingerprint(agent, front.title, words, parameters, {}),
    )


async def outcome(runs: RunStore, run_id: str, principal: str) -> AgentResult | None:
    """What a run came to, once somebody else has brought it to an end; None where nobody drives it. Raises Error."""
    while True:
        before = await runs.position(run_id, principal)  # before the look: a change after it is not missed
        info = await wait.ended(runs, run_id, principal, None)
        if info.status == "finished":
            return AgentResult.model_validate(info.result)
        if info.status == "interrupted":
            return None
        if info.status != "waiting":
            raise Conflict(f"its run {run_id} {info.status}: {info.result.get('error', 'no reason is known')}")
        await wait.changed(runs, run_id, principal, before, None)
