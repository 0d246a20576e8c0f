"""Drives runs in processes that are made to be killed: forked for each order, so that a round costs no imports.

Orders come on stdin, one JSON object a line: `{"home", "run_id", "resume"}`; the answer is the child's pid. What a
child does to the world is in files: `notes` (a side effect), `looks` (harmless), `acked` (events that it was told of).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from agent.scripted import MODEL, Scripted, call, opened

from mcp_llm.agent.operation import run_agent
from mcp_llm.agent.resuming import Agents
from mcp_llm.agent.task import BOUND, DELEGATE, Limits, Task
from mcp_llm.errors import Conflict
from mcp_llm.runs.resume import Resumers, drive
from mcp_llm.runs.store import RunStore
from mcp_llm.toolsets.functions import Function, Functions
from mcp_llm.types.message import ToolCall, ToolResult

if TYPE_CHECKING:
    from mcp_llm.types.chat import ChatRequest
    from mcp_llm.types.events import Event

STEPS = 4
TTL = 0.2


def write(path: Path, line: str) -> None:
    """Append a line; on disk when it returns."""
    with path.open("ab", buffering=0) as file:
        file.write(f"{line}\n".encode())


def tools(home: Path) -> Functions:
    """A tool that changes the world and one that does not."""

    async def note(name: str) -> str:
        write(home / "notes", name)
        await anyio.sleep(0.02)
        return f"noted {name}"

    async def look(name: str) -> str:
        write(home / "looks", name)
        await anyio.sleep(0.02)
        return f"saw {name}"

    return Functions([Function(note, destructive=False), Function(look, read_only=True)])


def boss(request: ChatRequest) -> Any:
    """Step after step a note and a look side by side, one delegate on the way; then done."""
    done = sum(message.role == "assistant" for message in request.messages)
    name = "worker" if "Worker" in (request.system or "") else "boss"
    if done == STEPS:
        return "done"
    asked: list[ToolCall] = [
        call("note", {"name": f"{name}{done}"}, f"n{done}"),
        call("look", {"name": f"{name}{done}"}, f"l{done}"),
    ]
    if name == "boss" and done == 1:
        asked.append(call("ask_worker", {"task": "the same"}, "w"))
    for part in request.messages[-1].parts:
        assert not isinstance(part, ToolResult) or not part.is_error or "may have been made" in part.text, part
    return asked


class Acked:
    """Keeps the number of every event that is told, words aside."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def emit(self, event: Event) -> None:
        if event.event not in {"text", "thinking"}:
            write(self._home / "acked", f"{event.run_id} {event.seq}")


async def work(home: Path, run_id: str, *, resume: bool) -> None:
    """Begin the run, or go on with it as soon as its lease is over."""
    functions = tools(home)
    async with opened(home, {"scripted": Scripted(boss)}) as app:
        runs = app.journals = RunStore(app.runs.store, ttl_s=TTL)
        if not resume:
            task = Task(prompt="go", agent="boss", model=MODEL, budget=Limits(usd=1000))
            await run_agent(app, runs, task, run_id=run_id, toolsets=[functions], sinks=[Acked(home)])
            return
        resumers = Resumers()
        for kind in (BOUND, DELEGATE):
            resumers.register(kind, Agents(app, runs, toolsets=[functions]))
        while True:
            try:
                journal, resumer = await resumers.claim(runs, run_id, "local", again=True)
                break
            except Conflict:
                await anyio.sleep(0.01)
        journal.listen(Acked(home))
        await drive(resumer, journal)


def main() -> None:
    """Fork a child for each order."""
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                anyio.run(lambda: work(Path(order["home"]), order["run_id"], resume=order["resume"]))  # noqa: B023
                code = 0
            finally:
                os._exit(code)
        print(pid, file=sys.stdout, flush=True)
        _, status = os.waitpid(pid, 0)
        print(status, file=sys.stdout, flush=True)


if __name__ == "__main__":
    main()
