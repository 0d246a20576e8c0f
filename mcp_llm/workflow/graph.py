"""The graph of a workflow as text or as a Mermaid diagram. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .plan import Plan, Step


def text(plan: Plan) -> str:
    """The tasks in waves: those of one wave can run side by side once the ones before have ended."""
    wave: dict[str, int] = {}
    for name, step in plan.steps.items():
        wave[name] = 1 + max((wave[one] for one in step.waits), default=0)
    lines = [plan.workflow.name]
    for number in range(1, max(wave.values()) + 1):
        lines.append(f"{number}")
        for name, step in plan.steps.items():
            if wave[name] == number:
                after = f"  after {', '.join(step.waits)}" if step.waits else ""
                lines.append(f"   {name}: {_called(step)}{_when(step)}{after}")
    return "\n".join(lines)


def mermaid(plan: Plan) -> str:
    """A flowchart; a dotted line is a task that only waits, a solid one uses the other's result."""
    numbers = {name: f"t{index}" for index, name in enumerate(plan.steps)}
    lines = ["flowchart TD"]
    for name, step in plan.steps.items():
        label = f"{name}<br/>{_called(step)}{_when(step)}".replace('"', "#quot;")
        lines.append(f'    {numbers[name]}["{label}"]')
    for name, step in plan.steps.items():
        arrows = {one: "-->" if one in step.needs else "-.->" for one in step.waits}
        lines += [f"    {numbers[one]} {arrow} {numbers[name]}" for one, arrow in arrows.items()]
    return "\n".join(lines)


def _called(step: Step) -> str:
    task = step.task
    return f"{task.call.method} for each {task.pattern}" if task.type == "batch" else task.call.method


def _when(step: Step) -> str:
    when = step.task.when
    return "" if when is True else f"  when {' '.join(str(when).split())}"
