"""What a workflow would do and cost, without doing it: its tasks in order, and the price of what is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Error
from mcp_llm.types.message import Value
from mcp_llm.types.result import dollars

from .allowance import Allowance
from .inputs import given
from .template import Filling, look

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_llm.llm.service import Service

    from .plan import Plan, Step
    from .template import Reference

PAID: Final = ("llm/", "agent/")
NOT_YET: Final = "[what comes of an earlier task]"


class Quoted(Value):
    """One task: `usd_at_most` is of one attempt; None where it cannot be known before it runs."""

    task: str
    method: str
    after: tuple[str, ...] = ()
    model: str | None = None
    usd_at_least: float | None = None
    usd_at_most: float | None = None
    why: str | None = None


class Quote(Value):
    """The plan and its price. Sums are of what is known; `unknown` names the tasks that are in no sum."""

    response: str
    workflow: str
    tasks: tuple[Quoted, ...]
    usd_at_least: float | None = None
    usd_at_most: float | None = None
    unknown: tuple[str, ...] = ()
    budget_usd: float | None = None


async def quote(service: Service, plan: Plan, values: Mapping[str, Any], budget_usd: float | None = None) -> Quote:
    """The quote. Raises InvalidInput for inputs that do not fit."""
    inputs = given(plan.workflow, values)
    tasks = [await _one(service, step, inputs) for step in plan.steps.values()]
    paid = [one for one in tasks if one.method.startswith(PAID)]
    least = [one.usd_at_least for one in paid if one.usd_at_least is not None]
    most = [one.usd_at_most for one in paid if one.usd_at_most is not None]
    unknown = tuple(one.task for one in paid if one.usd_at_most is None)
    cap = float(Allowance.of(service, "", budget_usd, plan.workflow.budget_usd).usd)
    lines = [f"{plan.workflow.name}: {len(tasks)} tasks, at most {dollars(cap)} by its budget"]
    for one in tasks:
        price = one.why or ("" if one.usd_at_most is None else f"at most {dollars(one.usd_at_most)}")
        after = f"after {', '.join(one.after)}" if one.after else ""
        lines.append(" · ".join(word for word in (f"{one.task}: {one.method}", one.model or "", price, after) if word))
    return Quote(
        response="\n".join(lines),
        workflow=plan.workflow.name,
        tasks=tuple(tasks),
        usd_at_least=sum(least) if least else None,
        usd_at_most=sum(most) if most else None,
        unknown=unknown,
        budget_usd=cap,
    )


async def _one(service: Service, step: Step, inputs: dict[str, Any]) -> Quoted:
    task, estimate = step.task, step.method.estimate
    known = Quoted(task=task.id, method=task.call.method, after=step.waits)
    if task.type == "batch":
        return known.model_copy(update={"why": "for each file; how many there are is known when it runs"})
    if estimate is None:
        paid = task.call.method.startswith(PAID)
        return known.model_copy(update={"why": "what it costs is known when it runs" if paid else None})
    open_ = False

    def resolve(one: Reference) -> Any:
        nonlocal open_
        if one.root == "inputs":
            return look(one, inputs)
        open_ = True
        return NOT_YET

    try:
        parameters = step.method.read(Filling(resolve).fill(task.call.parameters))
        found = await estimate(service, parameters)
    except Error as exc:
        return known.model_copy(update={"why": f"cannot be told: {str(exc)[:200]}"})
    model = f"{found['provider']}:{found['model']}"
    if open_:
        why = "its price depends on earlier results"
        return known.model_copy(update={"model": model, "usd_at_least": found["usd_at_least"], "why": why})
    more = {"usd_at_least": found["usd_at_least"], "usd_at_most": found["usd_at_most"]}
    unpriced = "its price is not known" if found["usd_at_most"] is None else None
    return known.model_copy(update={"model": model, **more, "why": unpriced})
