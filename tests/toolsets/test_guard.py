"""What of a server's messages the client may read, and what goes back."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_types.jsonrpc import JSONRPCRequest, JSONRPCResponse

from mcp_llm.toolsets.guard import VERSION, Guard

pytestmark = pytest.mark.anyio


def asked(guard: Guard, number: int, meta: dict[str, Any] | None = None) -> None:
    params: dict[str, Any] = {} if meta is None else {"_meta": meta}
    guard.asked(JSONRPCRequest(jsonrpc="2.0", id=number, method="tools/list", params=params))


async def test_a_ping_is_answered_in_the_handshake_era_and_nothing_is_in_the_stateless_one() -> None:
    guard, ping = Guard(), {"jsonrpc": "2.0", "id": 7, "method": "ping"}
    asked(guard, 1)
    handshake = await guard.take(ping)
    asked(guard, 2, {VERSION: "2026-07-28"})
    stateless = await guard.take(ping)
    asked(guard, 3)  # the probe found an older server
    fallen_back = await guard.take(ping)
    pong = JSONRPCResponse(jsonrpc="2.0", id=7, result={})
    assert (handshake, stateless, fallen_back) == ((None, pong), (None, None), (None, pong))


async def test_only_what_was_asked_is_answered_and_once() -> None:
    guard = Guard()
    asked(guard, 1)
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"a": 1}}
    first, again = await guard.take(answer), await guard.take(answer)
    strange = await guard.take({"jsonrpc": "2.0", "id": 2, "result": {}})
    assert first == (JSONRPCResponse(jsonrpc="2.0", id=1, result={"a": 1}), None)
    assert (again, strange, guard.skipped) == ((None, None), (None, None), 2)


@pytest.mark.parametrize("number", ["x" * 201, 1 << 200])
async def test_a_request_with_an_endless_id_is_not_answered(number: int | str) -> None:
    assert await Guard().take({"jsonrpc": "2.0", "id": number, "method": "ping"}) == (None, None)
