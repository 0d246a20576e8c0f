"""How the tests compare, and what it was charged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from mcp_llm.compare.asked import Comparison
from mcp_llm.compare.operation import compare

if TYPE_CHECKING:
    from mcp_llm.compare.result import Compared
    from mcp_llm.llm.service import Service

NAMES = ("ash", "beech", "cedar", "elm", "fir", "larch", "oak", "pine")
PRICED = {f"{name}:x": {"input": 1.0, "output": 10.0} for name in NAMES}


def echo(prompt: str, model: str) -> str:
    return f"{model} says {prompt}"


async def run(service: Service, models: list[str], prompt: str | None = "hi", **more: Any) -> Compared:
    with anyio.fail_after(60):
        return await compare(service, Comparison(prompt=prompt, models=models, **more))


async def charged(service: Service) -> list[tuple[str, str, str | None, int]]:
    """(operation, provider, parent run, nano-dollars) of the ledger."""
    found = await service.runs.store.query("SELECT operation, provider, parent_run, charged FROM ledger ORDER BY id")
    return [tuple(row) for row in found]
