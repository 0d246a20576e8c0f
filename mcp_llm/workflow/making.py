"""The methods that make media and vectors: the same operations as the tools, as part of the workflow's run.

What is made lies in files, and a result says where: the bytes themselves are never in it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.types.media import Made

from .method import Done

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .method import Call

GIVES: Final = frozenset(Made.model_fields)
EMBEDDED: Final = GIVES | {"embedding", "embeddings", "count", "dimensions"}
_SHARED: Final = frozenset({"model", "context", "budget_usd", "timeout_s", "options"})


def making(operation: str, module: str, function: str, first: str) -> Callable[[Call], Awaitable[Done]]:
    """The method of `mcp_llm.llm.<module>.<function>`, whose first argument is the parameter `first`."""

    async def call(call: Call) -> Done:
        from mcp_llm.llm.doing import plan

        service, given = call.host.service, call.parameters
        targets = (await plan(service, operation, given.model, given.context)).targets

        async def work(scopes: Any) -> Made:
            own = {name: getattr(given, name) for name in type(given).model_fields if name not in _SHARED}
            shared = {name: getattr(given, name) for name in _SHARED}
            part = {"principal": call.principal, "run_id": call.child_id, "parent_run": call.run_id, "scopes": scopes}
            do = getattr(import_module(f"mcp_llm.llm.{module}"), function)
            made: Made = await do(service, own.pop(first), **own, **shared, **part)
            return made

        made = await call.allowance.within(service, targets, 0, open_ended=False, work=work)
        result = made.lean()
        if (vectors := getattr(made, "embeddings", None)) is not None:
            listed = [vector.tolist() for vector in vectors]
            result |= {"embeddings": listed, "embedding": listed[0]}
        metadata = {"model": made.model_used, "provider": made.provider, "run_id": made.run_id}
        return Done(result, made.usage, made.cost, metadata)

    return call
