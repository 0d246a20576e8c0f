"""A run's working place: its servers opened, its tools chosen, its loop put together; closed again at the end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from mcp_llm.runs.approval import Approvals
from mcp_llm.runs.history import History
from mcp_llm.toolsets import pins
from mcp_llm.toolsets.compose import Group
from mcp_llm.types.chat import ChatRequest
from mcp_llm.wires import schema as schemas

from . import compaction, offer
from .agents import Delegates
from .calls import Calls
from .limits import Meter
from .loop import Loop
from .task import TRACE, Limits, Trace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from mcp_llm.llm.routing import Plan
    from mcp_llm.llm.service import Service
    from mcp_llm.runs.approval import Approver, Ask
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.recorder import Recorder
    from mcp_llm.runs.store import RunStore
    from mcp_llm.toolsets.base import Toolset

    from .limits import Tree
    from .prepare import Prepared
    from .task import AgentResult, Task


@asynccontextmanager
async def bench(
    service: Service,
    runs: RunStore,
    journal: Journal,
    recorder: Recorder,
    prepared: Prepared,
    *,
    tree: Tree,
    spawn: Callable[[Task, str], Awaitable[AgentResult]],
    toolsets: Sequence[Toolset] = (),
    approver: Approver | None = None,
    upward: Ask | None = None,
    tell: Callable[[str], None] | None = None,
) -> AsyncIterator[Loop]:
    """The loop of a run, ready to be run or to be told what was done before. Enter and leave it in one task."""
    task, settings = prepared.task, service.config.settings
    plan = prepared.plan
    meter = Meter(journal.run_id, prepared.limits, task.shared, unpriced=_unpriced(service, plan, prepared))
    handles: dict[str, str] = {}

    async def overflow(call_id: str, text: str) -> str:
        handles[call_id] = handle = await runs.keep_text(journal.run_id, call_id, text)
        return f"read_more(handle={handle!r})"

    async with _opened(service, prepared.servers) as group:
        ledger = service.purse.ledger
        delegates = Delegates(
            prepared.delegates,
            task,
            prepared.trace,
            meter,
            tree,
            runs,
            left=lambda: meter.left(ledger),
            append=lambda event: loop.append(event),
            spawn=spawn,
            fences=(prepared.server_fence, prepared.tool_fence),
            said=prepared.said,
        )
        context = plan.targets[0].facts.context
        reader = offer.Reader(runs, journal.principal, prepared.readable)
        own = offer.Joined([*([delegates] if prepared.delegates else []), *toolsets, reader])
        members: dict[str, Toolset] = {"": own, **group.members}
        whole = Group(members, errors=group.errors, overflow=overflow, most=offer.most_bytes(context))
        offered = await whole.list()
        missing = offer.unmatched(offered, task.tools or ())
        tools, left_out = offer.fitting(offer.allowed(offered, prepared.tool_fence), context)
        if {tool.name for tool in tools} == {"read_more"}:
            tools = []
        loop = Loop(
            service,
            runs,
            journal,
            recorder,
            plan,
            _settings(prepared, [tool.spec for tool in tools], list(group.errors)),
            prepared.first,
            meter,
            History(),
            before=compaction.fit,
            shorten=compaction.force,
            context=prepared.context,
            tell=tell,
        )
        noted = offer.noted(whole.notes)
        loop.warnings += [*plan.warnings, *whole.errors.values(), *noted, *filter(None, (missing, left_out))]
        if meter.unpriced is not None:
            loop.warnings.append(
                f"the price of {plan.targets[0].name} is not known: instead of dollars the run is held to "
                f"{meter.unpriced:,} tokens; set its price under [prices]"
            )

        def trace(left: Limits) -> dict[str, Any]:
            own = Trace(
                root=prepared.trace.root,
                run_id=journal.run_id,
                depth=prepared.trace.depth + 1,
                path=prepared.trace.path,
                budget=left,
            )
            return {TRACE: own.model_dump(mode="json", exclude_none=True)}

        loop.calls = Calls(
            offer.by_name(tools),
            whole,
            settings.agents,
            meter,
            ledger,
            Approvals(runs, journal, settings.agents.approval_s, loop.append, approver, upward),
            append=loop.append,
            add=loop.add,
            note=journal.note,
            trace=trace,
            handles=handles,
            tell=tell,
            telemetry=settings.telemetry,
            redactor=service.config.redactor,
        )
        try:
            yield loop
        finally:
            # They know the loop, and it knows all that was said: it goes with the run, not when cycles are looked for.
            del loop.calls


@asynccontextmanager
async def _opened(service: Service, names: Sequence[str]) -> AsyncIterator[Group]:
    if not names:
        yield Group({})
        return
    from mcp_llm.toolsets.connect import open_servers  # an MCP client is loaded where there is a server

    settings = service.config.settings
    async with open_servers(
        names,
        settings.servers,
        service.config.variable,
        pinned=pins.StoredPins(service.runs.store),
        ca_file=settings.ca_file,
        signed_in=service.config.signed_in,
        redactor=service.config.redactor,
    ) as group:
        yield group


def _settings(prepared: Prepared, tools: list[Any], missing: list[str]) -> ChatRequest:
    task = prepared.task
    system = [prepared.instruction.strip()]
    if missing:
        system.append(f"These servers could not be opened, so their tools are missing: {', '.join(missing)}.")
    natively = task.json_schema is not None and not tools
    if task.json_schema is not None and tools:
        # Asked for natively, some vendors would want every reply in that shape, calls or not.
        system.append(f"Your last answer, when you are done:\n{schemas.instruction(task.json_schema)}")
    return ChatRequest(
        messages=(),
        system="\n\n".join(words for words in system if words) or None,
        tools=tuple(tools),
        max_tokens=task.max_tokens,
        temperature=task.temperature,
        effort=task.effort,
        json_schema=task.json_schema if natively else None,
        options=task.options,
    )


def _unpriced(service: Service, plan: Plan, prepared: Prepared) -> int | None:
    """Tokens that stand in for dollars nobody asked for, where the price of a model that may be asked is not known."""
    settings = service.config.settings
    if prepared.said or not all(one.assumed for one in prepared.task.shared) or settings.budget.call_usd is not None:
        return None
    if settings.budget.unknown_usd is not None:
        return None
    known = all(service.purse.worst(target, 1, 1) is not None for target in plan.targets)
    return None if known else settings.agents.unpriced_tokens
