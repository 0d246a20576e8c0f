"""A run that is cancelled stops everything below it, says so once, and keeps what had come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.scripted import MODEL, Scripted, call, do, names, opened, write_agent

from mcp_llm.agent.task import Task
from mcp_llm.errors import Error
from mcp_llm.toolsets.functions import Functions

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Waiting:
    """A tool that says when it has begun, and whether it was let go."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.ended = False

    def tools(self) -> Functions:
        async def wait() -> None:
            self.begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                self.ended = True

        return Functions([wait])


async def test_whoever_asked_has_gone(home: Path) -> None:
    waiting = Waiting()
    events: list[dict[str, Any]] = []
    async with opened(home, {"scripted": Scripted(["a moment", call("wait")])}) as app:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: do(app, "go", toolsets=[waiting.tools()], on_event=events.append, run_id="b" * 32))
            await waiting.begun.wait()
            tasks.cancel_scope.cancel()
        info = await app.journals.get("b" * 32, "local")
    assert (waiting.ended, info.status) == (True, "cancelled")
    assert [name for name in names(events) if name in {"finish", "error"}] == ["error"]
    assert (events[-1]["event"], events[-1]["kind"]) == ("error", "cancelled")


async def test_the_user_cancels_a_run_with_its_delegates(home: Path) -> None:
    write_agent(home, "boss", f'delegates = ["worker"]\nmodel = "{MODEL}"')
    write_agent(home, "worker", f'model = "{MODEL}"', "Worker is what you are.")
    waiting = Waiting()

    def replies(request: Any) -> Any:
        return call("wait") if "Worker" in (request.system or "") else call("ask_worker", {"task": "x"})

    failed: list[str] = []
    async with opened(home, {"scripted": Scripted(replies)}) as app:

        async def work() -> None:
            with pytest.raises(Error) as caught:
                await do(app, Task(prompt="go", agent="boss"), toolsets=[waiting.tools()], run_id="c" * 32)
            failed.append(str(caught.value))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await waiting.begun.wait()
            await app.journals.request_cancel("c" * 32, "local")
        runs = await app.journals.list("local")
    assert failed == ["the run was cancelled"]
    assert [(run.kind, run.status) for run in sorted(runs, key=lambda run: run.kind)] == [
        ("agent.bound", "cancelled"),
        ("delegate", "cancelled"),
    ]
    assert waiting.ended
