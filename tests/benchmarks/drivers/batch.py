"""Lines worked off into a results file: ours, and a bare streaming client with as many in flight.

Reads {"base", "lines"} as JSON from argv; prints, as JSON, microseconds of CPU and of wall time a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEY = "BENCH_API_KEY"
AT_ONCE = 16


async def _took(name: str, lines: int, work: Callable[[], Awaitable[object]]) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    return {
        f"{name} cpu": (time.process_time() - cpu) / lines * 1e6,
        f"{name} wall": (time.perf_counter() - wall) / lines * 1e6,
    }


async def floor(base: str, lines: int, out: Path) -> None:
    body = {"model": "bench-1", "stream": True}
    rest = iter(range(lines))
    with out.open("w") as file:
        async with httpx2.AsyncClient(headers={"authorization": "Bearer x"}, timeout=60) as client:

            async def worker() -> None:
                for number in rest:
                    asked = {**body, "messages": [{"role": "user", "content": f"say {number}"}]}
                    pieces = []
                    async with client.stream("POST", f"{base}/chat/completions", json=asked) as reply:
                        async for line in reply.aiter_lines():
                            if line.startswith("data: ") and line != "data: [DONE]":
                                choices = json.loads(line[6:])["choices"]
                                pieces.append((choices[0]["delta"].get("content") or "") if choices else "")
                    file.write(json.dumps({"id": number, "response": "".join(pieces)}) + "\n")
                    file.flush()

            await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def ours(lines: int, out: Path) -> None:
    from mcp_llm.app import open_app
    from mcp_llm.batch.items import Item
    from mcp_llm.batch.operation import Batch, Outcome
    from mcp_llm.batch.results import Results

    items = (Item(str(number), number, {"prompt": f"say {number}"}) for number in range(lines))
    async with open_app() as app:
        with Results.open(out) as results:

            def done(outcome: Outcome) -> None:
                results.append(outcome.record())

            batch = Batch(app, {"model": "bench:bench-1"}, at_once=AT_ONCE)
            await batch.run(items, done)
            assert (batch.answered, batch.failed) == (lines, 0), batch.stopped


async def measure(base: str, lines: int, home: Path) -> dict[str, float]:
    await ours(50, home / "warm.jsonl")
    await floor(base, 50, home / "warm-floor.jsonl")
    found: dict[str, Any] = await _took("floor", lines, lambda: floor(base, lines, home / "floor.jsonl"))
    return found | await _took("ours", lines, lambda: ours(lines, home / "ours.jsonl"))


if __name__ == "__main__":
    os.sched_setaffinity(0, {0})
    PLAN = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"MCP_LLM_HOME": folder, KEY: "bench-key-0123456789"}
        os.chdir(folder)
        text = f'discover = false\n[providers.bench]\nbase_url = "{PLAN["base"]}"\nwires = {{ chat = "openai" }}\n'
        text += f'auth = {{ env = ["{KEY}"], headers = {{ Authorization = "Bearer {{key}}" }} }}\n'
        Path(folder, "mcp_llm.toml").write_text(text, encoding="utf-8")
        print(json.dumps(asyncio.run(measure(PLAN["base"], PLAN["lines"], Path(folder)))))
