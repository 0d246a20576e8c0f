"""A process that orders batches as a server or a command would: `python ordering.py COUNT`.

Prints `ready`, waits for a line, makes its orders at once, and prints what came of each: `taken` or `refused`.
"""

from __future__ import annotations

import sys

import anyio

from mcp_llm import config
from mcp_llm.app import App, open_app
from mcp_llm.batch.items import Item
from mcp_llm.batch.orders import Orders
from mcp_llm.errors import BudgetExceeded

ITEMS = [Item(name, at, {"prompt": f"say {name}"}) for at, name in enumerate(("a", "b", "c"), 1)]


async def order(app: App) -> None:
    """One order of three items."""
    try:
        await Orders(app, app.journals).submit(ITEMS, {"model": "gate:m"})
        print("taken", flush=True)
    except BudgetExceeded:
        print("refused", flush=True)


async def main(count: int) -> None:
    """All of them at once."""
    async with open_app(config.load()) as app:
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(order, app)


anyio.run(main, int(sys.argv[1]))
