"""Everything about a run that can be wrong before it begins: its agent, model, servers, limits and history.

Decides from the task, the agent's file and the settings; the same again when a run is gone on with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import Denied, InvalidInput
from mcp_llm.llm.structured import check_schema
from mcp_llm.runs.history import History
from mcp_llm.types.events import Start
from mcp_llm.types.message import Text, assistant, user
from mcp_llm.types.text import unbroken

from . import agents, offer
from .task import Limits, Task, Trace

if TYPE_CHECKING:
    from mcp_llm.llm.routing import Plan
    from mcp_llm.llm.service import Service
    from mcp_llm.prompts import Prompt
    from mcp_llm.runs.store import RunStore
    from mcp_llm.settings import Settings
    from mcp_llm.types.message import Message

MOST: Final = 4 * 1024 * 1024
"""Characters of prompt, instruction and context together."""


@dataclass(slots=True)
class Prepared:
    """A task with all its blanks filled. `said`: somebody asked for the dollars; else they are the settings'."""

    task: Task
    agent: Prompt | None
    instruction: str
    context: str | None
    servers: list[str]
    server_fence: tuple[str, ...] | None
    tool_fence: tuple[tuple[str, ...], ...]
    delegates: dict[str, Prompt]
    limits: Limits
    said: bool
    trace: Trace
    plan: Plan
    first: tuple[Message, ...] = ()
    readable: set[str] = field(default_factory=set)
    """Runs whose long texts it may read."""

    @property
    def persona(self) -> str | None:
        """What it is called."""
        return self.task.persona or self.task.agent or (self.agent.name if self.agent else None)


async def prepare(service: Service, runs: RunStore, task: Task, run_id: str) -> Prepared:
    """Fill the blanks. Raises InvalidInput and Denied; nothing has been started by then."""
    settings = service.config.settings
    said = "".join((task.prompt, task.instruction or "", task.extra_context or ""))
    if not task.prompt.strip():
        raise InvalidInput("`prompt` is empty: say what is to be done")
    if len(said) > MOST:
        raise InvalidInput(
            f"the task has {len(said):,} characters, over {MOST:,}: put what is long where a tool reads it"
        )
    if task.json_schema is not None:
        check_schema(task.json_schema)
    agent = _agent(service, task)
    front = agent.front if agent is not None else None
    named = task.servers if task.servers is not None else front.servers if front else None
    globs = task.tools if task.tools is not None else front.tools if front else None
    servers = offer.servers(named, task.server_fence, settings)
    budget = _budget(task, agent)
    trace = _trace(task, agent, run_id, settings.agents.depth)
    first: tuple[Message, ...] = (opening(task),)
    readable = {run_id}
    if task.continue_from is not None:
        if task.rerun is None or not task.rerun.step:  # else it is in the steps that were taken over
            first = (*await conversation(runs, task.continue_from, task.principal), *first)
        readable.add(task.continue_from)
    if task.rerun is not None:
        readable.add(task.rerun.run_id)
    if task.model is None and front is not None and front.context is None:
        model = front.model or front.tier
    else:
        model = task.model
    context = task.context or (front.context if front else None)
    return Prepared(
        task=task,
        agent=agent,
        instruction=agents.instruction(agent, task),
        context=context,
        servers=servers,
        server_fence=tuple(servers) if named is not None else task.server_fence,
        tool_fence=(*task.tool_fence, *([tuple(globs)] if globs is not None else [])),
        delegates={name: agents.find(service.prompts, name) for name in (front.delegates if front else ())},
        limits=_limits(budget, task, settings),
        said=budget.usd is not None,
        trace=trace,
        plan=await service.plan(model, context, frozenset({"tools"} if servers else ())),
        first=first,
        readable=readable,
    )


def opening(task: Task) -> Message:
    """What is said first."""
    parts = [Text(f"{task.extra_context}\n\n")] if task.extra_context else []
    return user(*parts, unbroken(task.prompt))


def limits(service: Service, task: Task) -> Limits:
    """What a run of this task may use, for whoever shows it. Raises InvalidInput where its agent's file is gone."""
    return _limits(_budget(task, _agent(service, task)), task, service.config.settings)


def _budget(task: Task, agent: Prompt | None) -> Limits:
    """What somebody asked for: the caller, else the agent's file."""
    return task.budget if agent is None else _over(task.budget, Limits.model_validate(agent.front.budget.model_dump()))


def _limits(budget: Limits, task: Task, settings: Settings) -> Limits:
    found = budget.filled(settings.agents)
    if task.trace is not None and not task.shared:  # it comes from another server: it can only shrink
        found = found.within(task.trace.budget).within(Limits(depth=settings.agents.depth - task.trace.depth))
    cap = settings.budget.call_usd
    return found if cap is None else found.within(Limits(usd=float(cap)))


def _agent(service: Service, task: Task) -> Prompt | None:
    if task.agent is not None:
        return agents.find(service.prompts, task.agent)
    if task.instruction is not None:
        return None
    usual = service.prompts.all().get(agents.USUAL)
    return usual if usual is not None and usual.front.kind == "agent" else None


def _over(said: Limits, usual: Limits) -> Limits:
    """What is said, and where nothing is, what is usual."""
    return Limits(**{**usual.model_dump(exclude_none=True), **said.model_dump(exclude_none=True)})


def _trace(task: Task, agent: Prompt | None, run_id: str, depth: int) -> Trace:
    own = (agent.name,) if agent is not None else ()
    if task.trace is None:
        return Trace(root=run_id, run_id=run_id, path=own)
    if task.shared:
        return task.trace
    if task.trace.depth > depth:
        raise Denied(f"this run would stand {task.trace.depth} levels deep; {depth} are allowed here")
    if task.agent is not None and task.agent in task.trace.path:
        way = " -> ".join((*task.trace.path, task.agent))
        raise Denied(f"the agent {task.agent!r} is waiting for this very answer: {way}")
    return task.trace.model_copy(update={"path": (*task.trace.path, *own)[-64:]})


async def conversation(runs: RunStore, run_id: str, principal: str) -> list[Message]:
    """What was said in a run that has ended."""
    info = await runs.get(run_id, principal)
    if info.live:
        raise InvalidInput(f'run {run_id} is {info.status}: wait for it first, runs(action="wait", run_id="{run_id}")')
    if info.status == "interrupted":
        raise InvalidInput(f'run {run_id} was interrupted: runs(action="resume", run_id="{run_id}") goes on with it')
    history, prompt = History(), ""
    for event in await runs.events(run_id):
        history.take(event)
        if isinstance(event, Start):
            prompt = event.prompt
    found = list(history.messages)
    if answers := history.answers():
        found.append(answers)
    if not found and prompt and info.result.get("response"):
        found = [user(prompt), assistant(str(info.result["response"]))]
    if not found:
        raise InvalidInput(f"run {run_id} keeps no conversation that could be gone on with; give its answer as context")
    return found
