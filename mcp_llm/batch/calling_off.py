"""Calling off an order: the vendor is told, and the run ends when the vendor says so, with what was answered by then.

An order whose run ended before would be worked off and billed all the same, its answers lost and its money held.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from mcp_llm.errors import Conflict, Error
from mcp_llm.runs import outside

if TYPE_CHECKING:
    from mcp_llm.runs.store import RunInfo

    from .orders import Orders


async def call_off(orders: Orders, info: RunInfo) -> str | None:
    """End an order that is open; words on what is left to do, None where it has ended.

    Raises ProviderError where the vendor cannot be told, and Conflict while the order is being made.
    """
    provider, runs = str(info.model).partition(":")[0], orders.runs
    if not await outside.known(runs, info.id):
        if info.live:
            raise Conflict(f"run {info.id} is handed to {provider} at this moment: cancel it again in a while")
        await runs.request_cancel(info.id, info.principal)
        return (
            f"the run was cut off while its batch was submitted: look at {provider}'s own list whether it has it; "
            "what it may cost stays held"
        )
    try:
        with anyio.fail_after(outside.TELLING):
            await orders.cancel(info.id, info.principal)
    except (Error, TimeoutError) as error:
        raise outside.untold(info.id, provider, error) from error
    why = None if info.live else await _look(orders, info)
    if (await runs.get(info.id, info.principal)).status not in {"running", "interrupted"}:
        return None
    return (
        f"{provider} was asked to stop and has not ended it yet{why or ''}. Once it has, what was answered is "
        "collected and what is not spent is free again, by whoever looks then: a server of yours by itself, or "
        f"`mcp-llm batch collect {info.id}`"
    )


async def _look(orders: Orders, info: RunInfo) -> str | None:
    """Collect what there is if it has ended by now; what kept us from it, in brackets."""
    try:
        journal = await orders.runs.claim(info.id, info.principal)
    except Conflict:  # somebody else looks
        return None
    try:
        with anyio.move_on_after(outside.TELLING):
            await replace(orders, wait=False).drive(journal)
    except Error as error:
        return f" ({str(error)[:500]})"
    finally:
        with anyio.CancelScope(shield=True):
            await journal.release()
    return None
