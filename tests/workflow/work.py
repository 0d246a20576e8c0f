"""Workflows on a scripted model: a service with it, a run of YAML text, and methods whose calls can be counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from agent.scripted import MODEL, Scripted, opened

from mcp_llm import steps
from mcp_llm.workflow import load
from mcp_llm.workflow.method import Done, Method
from mcp_llm.workflow.operation import run_workflow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.app import App
    from mcp_llm.workflow.method import Call
    from mcp_llm.workflow.schema import WorkflowResult

__all__ = ["MODEL", "Counted", "Scripted", "counted", "do", "opened", "summary"]


class Counted:
    """Methods of this process by name: each call is noted, `act` says what comes of it (an exception is raised)."""

    def __init__(self, **acts: Callable[[Any], Any]) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.acts = acts
        self.at_once = self.most = 0

    def methods(self, **more: Any) -> dict[str, Method]:
        return {f"test/{name}": counted(self._act(name), **more) for name in self.acts}

    def _act(self, name: str) -> Callable[[Call], Awaitable[Any]]:
        async def act(call: Call) -> Any:
            self.calls.append((call.task_id, call.parameters))
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            try:
                found = self.acts[name](call.parameters)
                return await found if hasattr(found, "__await__") else found
            finally:
                self.at_once -= 1

        return act


def counted(act: Callable[[Call], Awaitable[Any]], **more: Any) -> Method:
    """A method of a function that gives a result or an error."""

    async def call(call: Call) -> Done:
        found = await act(call)
        if isinstance(found, Exception):
            raise found
        return Done(found if isinstance(found, dict) else {"response": found})

    return Method(call, **more)


async def do(
    app: App, text: str, inputs: dict[str, Any] | None = None, methods: dict[str, Method] | None = None, **more: Any
) -> WorkflowResult:
    """Run a workflow within a minute."""
    host = steps.host(app, approver=more.pop("approver", None), keep=more.pop("keep", lambda: False))
    host.methods = {**host.methods, **(methods or {})}
    with anyio.fail_after(60):
        return await run_workflow(host, load.read(text), inputs or {}, **more)


def summary(result: WorkflowResult) -> dict[str, Any]:
    """Task -> its status, or the error it failed with."""
    return {one.task_id: one.status if one.error is None else f"{one.status}: {one.error}" for one in result.tasks}
