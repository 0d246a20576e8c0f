"""Events of a run appended to its journal one after another, and rows committed by bare SQLite in between; as JSON."""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import anyio

from mcp_llm.runs.store import RunStore
from mcp_llm.store.sqlite import Store
from mcp_llm.types.events import ToolStart

COUNT = 400


async def measure(folder: Path) -> dict[str, float]:
    store = Store.open(folder / "state.db")
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE events (run TEXT, seq INTEGER, data TEXT, PRIMARY KEY (run, seq)) WITHOUT ROWID")
    taken: dict[str, list[float]] = {"ours": [], "floor": []}
    event = ToolStart(tool="search", args={"query": "foxes", "limit": 10}, call_id="call_1")
    data = event.model_dump_json()
    try:
        journal = await RunStore(store).create("agent", {"task": "measure"}, "local")
        for number in range(COUNT):
            started = time.perf_counter()
            await journal.append(event)
            between = time.perf_counter()
            bare.execute("INSERT INTO events VALUES ('run', ?, ?)", (number, data))
            taken["ours"].append(between - started)
            taken["floor"].append(time.perf_counter() - between)
        await journal.release()
    finally:
        bare.close()
        await store.aclose()
    cuts = {who: statistics.quantiles(values[20:], n=100) for who, values in taken.items()}
    return {f"{who} {name}": cut[at] * 1e3 for who, cut in cuts.items() for name, at in (("p50", 49), ("p99", 98))}


if __name__ == "__main__":
    os.sched_setaffinity(0, {0})
    # Not under /tmp, which may be memory: the folder a user's state would be in.
    with tempfile.TemporaryDirectory(dir=os.environ.get("XDG_CACHE_HOME") or Path.home()) as folder:
        print(json.dumps(anyio.run(measure, Path(folder))))
