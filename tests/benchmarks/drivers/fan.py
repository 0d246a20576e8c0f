"""Eight models at once, each of whom takes as long as it takes: wall milliseconds of a comparison and of one bare call.

Reads {"base", "calls"} as JSON from argv; prints, as JSON, the medians of `calls` tries in turn, and the first of each.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEY = "BENCH_API_KEY"
MODELS = 8


async def _took(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1e3


async def measure(base: str, calls: int) -> dict[str, float]:
    import mcp_llm

    body: dict[str, Any] = {"model": "bench-1", "messages": [{"role": "user", "content": "Hello"}]}
    models = [f"bench_{number}:bench-1" for number in range(MODELS)]
    found: dict[str, list[float]] = {"ours": [], "floor": [], "floor, eight": []}
    async with httpx2.AsyncClient(headers={"authorization": "Bearer x"}, timeout=60) as client:

        async def call() -> None:
            (await client.post(f"{base}/chat/completions", json=body)).json()

        async def compare() -> None:
            result = await mcp_llm.acompare_models("Hello", models)
            assert all(one.error is None for one in result.results), result

        async def eight() -> None:
            await asyncio.gather(*(call() for _ in range(MODELS)))

        for _ in range(calls + 1):
            for name, work in (("ours", compare), ("floor", call), ("floor, eight", eight)):
                found[name].append(await _took(work))
    first = {f"{name}, first": values[0] for name, values in found.items()}
    return first | {name: statistics.median(values[1:]) for name, values in found.items()}


if __name__ == "__main__":
    os.sched_setaffinity(0, {0})
    PLAN = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"MCP_LLM_HOME": home, KEY: "bench-key-0123456789"}
        os.chdir(home)
        text = "discover = false\n"
        for number in range(MODELS):
            text += f'[providers.bench_{number}]\nbase_url = "{PLAN["base"]}"\nwires = {{ chat = "openai" }}\n'
            text += f'auth = {{ env = ["{KEY}"], headers = {{ Authorization = "Bearer {{key}}" }} }}\n'
        Path(home, "mcp_llm.toml").write_text(text, encoding="utf-8")
        print(json.dumps(asyncio.run(measure(PLAN["base"], PLAN["calls"]))))
