"""A thousand tasks that do nothing, as a workflow and as a bare task group: CPU and wall microseconds of each task.

`engine` is the workflow's scheduling, filling and checking without a disk, `run` the same as a run with its journal.
The floor starts the same tasks with as many at a time, each behind an event of the one before where they stand in a
row. Reads {"rounds"} as JSON from argv; prints the medians as JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import anyio

from mcp_llm import config, steps
from mcp_llm.app import open_app
from mcp_llm.workflow import load
from mcp_llm.workflow.allowance import Allowance
from mcp_llm.workflow.attempts import Work
from mcp_llm.workflow.method import Done, Method
from mcp_llm.workflow.operation import check, run_workflow
from mcp_llm.workflow.run import Graph

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.workflow.method import Call

TASKS = 1000
AT_ONCE = 8
RESULT = {"response": "done"}


async def nothing(_: Call) -> Done:
    await anyio.lowlevel.checkpoint()
    return Done(RESULT)


METHODS = {"test/nothing": Method(nothing, repeatable=True)}


def text(shape: str) -> str:
    """The workflow: none waits (`wide`), each uses the one before (`row`), or ten layers of a hundred (`layers`)."""

    def uses(n: int) -> str:
        if shape == "wide" or n == 0 or (shape == "layers" and n < 100):
            return "x"
        return f"${{t{n - 1 if shape == 'row' else n - 100}.response}}"

    tasks = "".join(f"- {{id: t{n}, method: test/nothing, parameters: {{say: '{uses(n)}'}}}}\n" for n in range(TASKS))
    return f"name: {shape}\nmax_parallel_tasks: {AT_ONCE}\ntasks:\n{tasks}"


class Silent:
    """A journal that keeps nothing."""

    run_id = "r"

    async def append(self, *events: Any) -> None:
        pass

    def note(self, event: Any) -> None:
        pass


async def bare(shape: str) -> None:
    """The same by hand."""
    limiter = anyio.CapacityLimiter(AT_ONCE)
    done = [anyio.Event() for _ in range(TASKS)]
    results: list[dict[str, Any] | None] = [None] * TASKS

    async def one(n: int) -> None:
        before = None if shape == "wide" else n - 1 if shape == "row" else n - 100
        if before is not None and before >= 0:
            await done[before].wait()
        async with limiter:
            await anyio.lowlevel.checkpoint()
            results[n] = RESULT
        done[n].set()

    async with anyio.create_task_group() as tasks:
        for n in range(TASKS):
            tasks.start_soon(one, n)
    assert None not in results


async def took(work: Callable[[], Awaitable[Any]]) -> tuple[float, float]:
    """(CPU, wall) microseconds a task."""
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    return (time.process_time() - cpu) * 1e6 / TASKS, (time.perf_counter() - wall) * 1e6 / TASKS


async def measure(rounds: int) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    async with open_app(config.load(overrides={"discover": False})) as app:
        host = steps.host(app)
        host.methods = METHODS
        for shape in ("wide", "row", "layers"):
            node = load.read(text(shape))

            async def engine(shape: str = shape, node: Any = node) -> None:
                work = Work(host, "r", "local", Allowance.of(app, "r"), None, None)  # type: ignore[arg-type]  # never asked
                graph = Graph(check(host, node), {}, work, Silent(), AT_ONCE)  # type: ignore[arg-type]
                await graph.go()
                assert len(graph.results()) == TASKS

            async def run(node: Any = node) -> None:
                assert (await run_workflow(host, node, {})).status == "completed"

            async def floor(shape: str = shape) -> None:
                await bare(shape)

            for _ in range(rounds):
                for name, work in (("engine", engine), ("run", run), ("floor", floor)):
                    cpu, wall = await took(work)
                    found.setdefault(f"{shape} {name} cpu", []).append(cpu)
                    found.setdefault(f"{shape} {name} wall", []).append(wall)
    return {name: statistics.median(values[1:] or values) for name, values in found.items()}


if __name__ == "__main__":
    os.sched_setaffinity(0, {0})
    with tempfile.TemporaryDirectory() as home:
        os.environ["MCP_LLM_HOME"] = home
        os.chdir(home)
        print(json.dumps(anyio.run(measure, json.loads(sys.argv[1])["rounds"])))
