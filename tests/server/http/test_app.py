"""The endpoint with the SDK's own client, in both eras, over real connections; and what else there is to ask."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from mcp import Client
from server.http.talking import call, modern

pytestmark = pytest.mark.anyio


async def test_both_eras_list_call_and_read_on_the_same_endpoint(served: Any, mode: Any) -> None:
    async with served() as server, Client(server.url, mode=mode) as host:
        assert host.protocol_version == ("2026-07-28" if mode == "auto" else "2025-11-25")
        assert [tool.name for tool in (await host.list_tools()).tools][:2] == ["generate", "compare_models"]
        result: Any = await host.call_tool("generate", {"prompt": "one two three", "model": "demo"})
        assert "3 words: one two three" in result.content[0].text
        read: Any = await host.read_resource(f"runs://{result.structured_content['run_id']}")
        assert read.contents[0].text.endswith("3 words: one two three")


async def test_blanks_around_a_header_are_not_part_of_it(served: Any) -> None:
    asked = call("list_models", {})
    async with served() as server:
        spaced = (
            modern(asked)
            .replace(": 2026-07-28\r\n", ": \t 2026-07-28 \t \r\n")
            .replace("list_models", " list_models  ")
        )
        answer = await server.ask(method="POST", head=spaced, body=json.dumps(asked).encode())
        assert (answer.status, "result" in answer.data) == (200, True)


async def test_health_and_ready_say_how_it_is_and_nothing_else(served: Any) -> None:
    async with served() as server:
        for path, said in (("/health", {"status": "ok"}), ("/ready", {"status": "ready"})):
            answer = await server.ask(path)
            assert (answer.status, answer.data) == (200, said)
            assert (await server.ask(path, method="POST")).status == 405
        server.application.draining = True
        assert ((await server.ask("/ready")).status, (await server.ask("/health")).status) == (503, 200)
        busy = await server.post(call("list_models", {}))
        assert (busy.status, busy.headers["retry-after"]) == (503, "1")


async def test_a_fault_of_ours_is_a_500_without_a_word_and_a_traceback_in_the_log(
    served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as server:
        server.application.bodies.read = None  # calling it is a fault that nobody foresaw
        answer = await server.post(call("list_models", {}))
        assert (answer.status, answer.body) == (500, b"Internal Server Error")
        assert (await server.ask("/health")).status == 200
    [record] = [one for one in caplog.records if one.name == "mcp_llm.server.http.app"]
    assert (record.getMessage(), record.exc_info is not None) == ("a request could not be answered", True)


async def test_a_health_check_by_head_is_answered_at_once_on_a_connection_that_is_kept(served: Any) -> None:
    async with served() as server:
        asked = f"HEAD /health HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n\r\n".encode()
        async with server.connected() as stream:
            for _ in range(2):
                await stream.send(asked)
                with anyio.fail_after(5):
                    answer = await stream.receive()
                head, _, body = answer.partition(b"\r\n\r\n")
                assert (head.splitlines()[0], body) == (b"HTTP/1.1 200 OK", b"")
