"""Forks processes that drive a run until they are killed: model, tool, model, tool, each step told once it is durable.

Reads one JSON request a line, answers with the child's pid. A child writes to its log what was acknowledged to it, and
a line to `effects` whenever its tool does what may not be done twice.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import anyio

from mcp_llm.errors import Conflict
from mcp_llm.runs.recover import standing
from mcp_llm.runs.store import RunStore
from mcp_llm.store.sqlite import Store
from mcp_llm.types.chat import ChatResponse
from mcp_llm.types.events import EVENT, ModelEnd, ModelStart, Resumed, TextEvent, ToolEnd, ToolStart
from mcp_llm.types.message import Text, ToolCall, assistant, user


async def drive(given: dict[str, Any]) -> None:
    log = os.open(given["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    effects = os.open(Path(given["folder"]) / "effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(*words: object) -> None:
        os.write(log, (" ".join(map(str, words)) + "\n").encode())

    store = Store.open(Path(given["path"]))
    runs = RunStore(store, ttl_s=given["ttl"])
    while True:
        try:
            journal = await runs.claim(given["run"])
            break
        except Conflict:
            await anyio.sleep(0.01)
    tell("claimed", journal.fence, time.time())
    state = standing(await runs.events(journal.run_id))

    async def append(event: Any) -> None:
        tell("ack", await journal.append(event), event.event)

    async def call(call: ToolCall) -> None:
        await append(ToolStart(tool=call.name, call_id=call.id))
        os.write(effects, f"{call.id}\n".encode())
        await append(ToolEnd(tool=call.name, call_id=call.id, result="done"))

    try:
        if state.last_seq >= 0:
            unsure = tuple(one.call_id for one in state.may_have_run)
            await append(Resumed(after=state.last_seq, attempt=journal.attempts, may_have_run=unsure))
        for begun in state.may_have_run:
            await append(ToolEnd(tool=begun.tool, call_id=begun.call_id, result="it may have run", is_error=True))
        for one in state.to_call:
            await call(one)
        step = state.history.replies
        while True:
            await append(ModelStart(step=step, messages=(user("go"),) if step == 0 else ()))
            for word in ("one ", "two ", "three "):
                journal.note(TextEvent(text=word))
            wanted = ToolCall(f"call_{step}", "write", "{}")
            await append(
                ModelEnd(step=step, response=ChatResponse(message=assistant(Text("."), wanted), stop="tool_calls"))
            )
            await call(wanted)
            step += 1
    except Conflict:
        tell("refused", journal.fence, time.time())
    await store.aclose()


def main() -> None:
    EVENT.rebuild()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    children = []
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.close(0)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            anyio.run(drive, json.loads(line))
            os._exit(0)
        children.append(pid)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    for pid in children:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


main()
