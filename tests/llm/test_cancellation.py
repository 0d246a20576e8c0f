"""A call that nobody wants any more, and a caller who stops reading: the provider notices at once, the ledger knows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from faults.asking import ask, rows
from faults.replies import SSE, ok, sse
from faults.server import FaultServer, Reply

from mcp_llm.llm.generate import Ask, generate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faults.asking import Asking

    from mcp_llm.types.chat import Chunk

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)
FIRST = sse([{"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Once upon"}}]}])
CLOSED_WITHIN = 0.25


async def closed(server: FaultServer) -> float:
    return await anyio.to_thread.run_sync(server.wait_closed)


async def cancelled(asking: Asking, reply: Reply, wait: bool, **settings: Any) -> list[tuple[str, str]]:
    """Cancel a call once its request arrived (`wait`: once its first words did); gives the ledger."""
    with FaultServer([reply]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(**settings) as service:
            begun = anyio.Event()

            async def on_chunks(_: Sequence[Chunk]) -> None:
                begun.set()

            async with anyio.create_task_group() as tasks:

                async def run() -> None:
                    await generate(service, Ask("hi", model), on_chunks=on_chunks)

                tasks.start_soon(run)
                await anyio.to_thread.run_sync(server.wait_request)
                if wait:
                    await begun.wait()
                asked = time.monotonic()
                tasks.cancel_scope.cancel()
            assert await closed(server) - asked <= CLOSED_WITHIN
            assert service.llm.calls.running == 0
            assert not service.llm.breakers.is_open("acme")
            kept = await service.runs.store.query("SELECT status, json_extract(result, '$.error') FROM runs")
            assert kept == [("cancelled", "cancelled: whoever asked for it has gone")]
            return await rows(service)


async def test_cancelling_a_call_closes_its_socket_before_it_was_answered(asking: Asking) -> None:
    assert await cancelled(asking, Reply(hang="headers"), wait=False) == [("acme", "cancelled")]


async def test_cancelling_a_call_closes_its_socket_in_the_middle_of_the_answer(asking: Asking) -> None:
    reply = Reply(headers=SSE, body=FIRST, framing="chunked", hang=len(FIRST))
    assert await cancelled(asking, reply, wait=True) == [("acme", "cancelled")]


async def test_cancelling_a_call_with_a_budget_keeps_what_may_have_been_billed(asking: Asking) -> None:
    reply = Reply(headers=SSE, body=FIRST, framing="chunked", hang=len(FIRST))
    prices = {"acme:m": {"input": 1, "output": 1}}
    assert await cancelled(asking, reply, wait=True, prices=prices, budget={"call_usd": "1"}) == [("acme", "cancelled")]


async def test_many_cancelled_calls_do_not_open_the_breaker(asking: Asking) -> None:
    with FaultServer([Reply(hang="headers")] * 8 + [OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            for _ in range(8):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(generate, service, Ask("hi", model))
                    await anyio.to_thread.run_sync(server.wait_request)
                    tasks.cancel_scope.cancel()
            assert (await ask(service, model)).response == "Hello there"


# F28: a consumer that stops reading


async def test_a_consumer_that_stops_reading_stops_the_provider(asking: Asking) -> None:
    event = sse([{"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "x" * 10_000}}]}])
    reply = Reply(headers=SSE, forever=event, framing="chunked")
    with FaultServer([reply], send_buffer=64 * 1024) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            taken = [0]

            async def on_chunks(chunks: Sequence[Chunk]) -> None:
                taken[0] += len(chunks) * 10_000
                await anyio.sleep_forever()

            async with anyio.create_task_group() as tasks:

                async def run() -> None:
                    await generate(service, Ask("hi", model), on_chunks=on_chunks)

                tasks.start_soon(run)
                assert await anyio.to_thread.run_sync(server.blocked.wait, 5)
                waiting = server.sent - taken[0]
                asked = time.monotonic()
                tasks.cancel_scope.cancel()
            assert await closed(server) - asked <= CLOSED_WITHIN
    print(f"sent and not taken: {waiting / 1024:.0f} KiB")
    assert waiting <= 8 * 1024 * 1024  # the kernel's buffers on both sides are most of it
