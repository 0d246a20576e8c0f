"""A process that is made to be killed: five tasks in a row, and what each does is told on stdout.

`killed.py FOLDER run` never ends its third task, `killed.py FOLDER resume` goes on and tells the result.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from workflow.work import counted, opened

from mcp_llm import steps
from mcp_llm.errors import Conflict
from mcp_llm.runs.resume import Resumers, drive
from mcp_llm.runs.store import RunStore
from mcp_llm.workflow import load
from mcp_llm.workflow.operation import HERE, run_workflow
from mcp_llm.workflow.resuming import Workflows

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.app import App
    from mcp_llm.workflow.method import Call, Host

RUN = "c" * 32
TEXT = "name: five\ntasks:\n- {id: t0, method: test/step, parameters: {after: ''}}\n" + "".join(
    f"- {{id: t{n}, method: test/step, parameters: {{after: '${{t{n - 1}.response}}'}}}}\n" for n in range(1, 5)
)


async def work(folder: Path, *, resume: bool) -> None:
    """Begin the run, or go on with it as soon as its lease is over."""

    def tell(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    async def step(call: Call) -> str:
        tell(f"begun {call.task_id}")
        if call.task_id == "t2" and not resume:
            await anyio.sleep_forever()
        tell(f"ended {call.task_id}")
        after = call.parameters["after"]
        return f"{call.task_id} after {after}" if after else call.task_id

    def host(app: App, keep: Callable[[], bool]) -> Host:
        made = steps.host(app, keep=keep)
        made.methods = {**made.methods, "test/step": counted(step, repeatable=True)}
        return made

    async with opened(folder, {}) as app:
        app.journals = RunStore(app.runs.store, ttl_s=0.3)
        if not resume:
            await run_workflow(host(app, lambda: False), load.read(TEXT), {}, run_id=RUN)
            return
        resumers = Resumers()
        resumers.register(HERE, Workflows(lambda keep: host(app, keep)))
        while True:
            try:
                journal, resumer = await resumers.claim(app.journals, RUN, "local")
                break
            except Conflict:
                await anyio.sleep(0.05)
        await drive(resumer, journal)
        info = await app.journals.get(RUN, "local")
        tell(info.result["response"])


if __name__ == "__main__":
    anyio.run(lambda: work(Path(sys.argv[1]), resume=sys.argv[2] == "resume"))
