"""What strangers may cost: bodies, heads, connections, silence, and clients that do not read; by raw sockets."""

from __future__ import annotations

import json
import random
import socket
from contextlib import AsyncExitStack
from typing import Any

import anyio
import anyio.abc
import pytest
from abuse import corpus
from load.provider import many_files
from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK evaluates the annotations of tools
from server.http.talking import ABOUT, JSON, Answer, bearer, call, drain, modern, until

from mcp_llm.server.http import protocol
from mcp_llm.server.http.body import Bodies
from mcp_llm.server.http.tokens import Tokens

pytestmark = pytest.mark.anyio

HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
MODELS = call("list_models", {})


async def alive(server: Any) -> None:
    """A client that behaves is served."""
    with anyio.fail_after(10):
        assert (await server.post(MODELS)).status == 200


async def drip(stream: anyio.abc.SocketStream) -> None:
    """Send a line now and then until the connection is closed."""
    try:
        while True:
            await stream.send(b"x: y\r\n")
            await anyio.sleep(0.02)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_t1_what_a_form_can_send_is_no_message(served: Any, kind: str) -> None:
    async with served() as server:
        head = modern(MODELS).replace("application/json\r\naccept", f"{kind}\r\naccept")
        answer = await server.ask(method="POST", head=head, body=json.dumps(MODELS).encode())
        assert answer.status == 415


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_hts_008_nesting_without_end_is_a_parse_error(served: Any, era: str) -> None:
    async with served() as server:
        head = modern(MODELS) if era == "modern" else JSON
        for body in (b"[" * 100_000, b'{"a":' * 100_000, b'{"jsonrpc": "2.0", "id": ' + b"9" * 10_000 + b"}"):
            answer = await server.ask(method="POST", head=head, body=body)
            assert answer.status == 400
            assert b"Traceback" not in answer.body
        await alive(server)


async def test_a_list_of_messages_is_refused_in_words(served: Any) -> None:
    async with served() as server:
        for body in (b"[]", json.dumps([MODELS, MODELS]).encode()):
            answer = await server.ask(method="POST", head=JSON, body=body)
            told = json.loads(answer.body)["error"]["message"]
            assert (answer.status, told) == (400, "a list of messages is not taken: send them one by one")
        await alive(server)


async def test_hts_009_a_compressed_body_is_refused_and_not_unpacked(served: Any) -> None:
    async with served() as server:
        for coding in ("gzip", "br", "deflate", "identity, gzip"):
            head = f"{modern(MODELS)}content-encoding: {coding}\r\n"
            assert (await server.ask(method="POST", head=head, body=b"\x1f\x8b" * 100)).status == 415


async def test_a_body_of_the_limit_is_read_and_one_byte_more_is_refused_before_it_is_sent(served: Any) -> None:
    async with served(http={"max_body_bytes": 4000}) as server:
        body = json.dumps(MODELS).encode()
        assert (await server.ask(method="POST", head=modern(MODELS), body=body.ljust(4000))).status == 200
        first = f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n{modern(MODELS)}"
        declared = await server.raw(f"{first}content-length: 4001\r\n\r\n".encode())
        assert Answer.of(declared).status == 413
        chunked = f"{first}transfer-encoding: chunked\r\n\r\nfa1\r\n".encode() + b" " * 4001 + b"\r\n"
        assert Answer.of(await server.raw(chunked)).status == 413
        lying = f"{first}content-length: 5\r\ncontent-length: 4001\r\n\r\n".encode()
        assert Answer.of(await server.raw(lying)).status == 400
        await alive(server)
        assert server.application.bodies._held == 0


async def test_bodies_that_are_too_much_together_are_told_to_wait(served: Any) -> None:
    async with served() as server:
        server.application.bodies = Bodies(6000, total=6000)
        first = f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n{modern(MODELS)}content-length: 6000\r\n\r\n"
        async with server.connected(first.encode() + b" " * 5990):
            await until(lambda: server.application.bodies._held >= 5990)
            answer = await server.post(MODELS)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        await until(lambda: not server.application.bodies._held)
        await alive(server)


async def test_too_many_or_too_long_headers_are_refused(served: Any) -> None:
    async with served() as server:
        many = "".join(f"x-{number}: 1\r\n" for number in range(101))
        assert (await server.post(MODELS, many)).status == 431
        long = await server.raw(f"GET /health HTTP/1.1\r\nhost: localhost\r\nx: {'a' * 200_000}".encode())
        assert long == b"" or Answer.of(long).status in {400, 431}
        await alive(server)


async def test_hts_011_connections_without_a_whole_head_are_closed_and_hold_up_nobody(served: Any) -> None:
    assert protocol.HEAD_SECONDS <= 15
    many_files()
    async with served(limits={"head_seconds": 0.5}) as server, AsyncExitStack() as stack:
        beginnings = (b"", b"P", b"POST /mcp HTTP/1.1\r\n", b"POST /mcp HTTP/1.1\r\nhost: localhost\r\nx: y\r\n")
        open_ones = [
            await stack.enter_async_context(server.connected(beginnings[number % len(beginnings)]))
            for number in range(corpus.case("HTS-011").fault["slowloris"])
        ]
        await alive(server)
        with anyio.fail_after(20):
            for stream in open_ones:
                assert await drain(stream) == b""


async def test_a_head_that_drips_is_closed_by_the_same_clock_also_on_a_connection_that_was_used(served: Any) -> None:
    async with served(limits={"head_seconds": 0.3}) as server:
        for begun in (b"GET /health HTTP/1.1\r\n", b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"):
            async with server.connected(begun) as stream:
                if begun.endswith(b"\r\n\r\n"):
                    assert b'{"status":"ok"}' in await stream.receive()
                    await stream.send(b"GET /health HTTP/1.1\r\n")
                with anyio.fail_after(10):
                    await drip(stream)


async def test_hts_012_a_body_that_drips_is_given_up(served: Any) -> None:
    assert protocol.BODY_SECONDS <= 30
    async with served(limits={"body_seconds": 0.3}) as server:
        first = f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n{modern(MODELS)}content-length: 900\r\n\r\n"
        async with server.connected(first.encode() + b"{") as stream:
            with anyio.fail_after(10):
                await drip(stream)
        await until(lambda: not server.http.server_state.tasks)
        await alive(server)


async def test_one_connection_too_many_is_told_so(served: Any) -> None:
    async with served(limits={"most": 3}) as server, AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(server.connected(b"GET"))
        told = Answer.of(await server.raw(b""))
        assert (told.status, told.headers["retry-after"]) == (503, "1")
        await stack.aclose()
        await until(lambda: not server.http.server_state.connections)
        await alive(server)


async def test_f26_a_call_too_many_is_busy_and_what_is_no_call_is_answered(served: Any) -> None:
    release, inside = anyio.Event(), []

    async def hold() -> str:
        """Wait."""
        inside.append(1)
        await release.wait()
        return "done"

    results: list[Any] = []
    async with served(max_calls=2, tools=[hold]) as server, anyio.create_task_group() as tasks:

        async def one() -> None:
            results.append(await server.post(call("hold", {})))

        for _ in range(2):
            tasks.start_soon(one)
        await until(lambda: len(inside) == 2)
        for _ in range(5):
            busy = await server.post(call("hold", {}))
            assert (busy.status, busy.headers["retry-after"]) == (503, "1")
            assert "2 calls are in flight" in busy.data["error"]["message"]
        opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
        hello = await server.ask(method="POST", head=JSON, body=json.dumps(opening).encode())
        session = f"mcp-session-id: {hello.headers['mcp-session-id']}\r\n"
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}
        cancel = await server.ask(method="POST", head=JSON + session, body=json.dumps(note).encode())
        late = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "hold", "arguments": {}}}
        refused = await server.ask(method="POST", head=JSON + session, body=json.dumps(late).encode())
        assert (hello.status, cancel.status, refused.status) == (200, 202, 503)
        release.set()
    assert [answer.status for answer in results] == [200, 200]


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_hts_013_f28_a_client_that_does_not_read_is_waited_for_with_little_and_then_let_go(
    served: Any, era: str
) -> None:
    ended, sent, peak = anyio.Event(), [0], [0]

    async def flood(ctx: Context[Any]) -> str:
        """Say ever more."""
        try:
            while True:
                sent[0] += 1
                await ctx.report_progress(sent[0], message="x" * 50_000)
                waiting = [each.transport.get_write_buffer_size() for each in server.http.server_state.connections]
                peak[0] = max(peak[0], *waiting)
        finally:
            ended.set()

    async with served(limits={"stalled_seconds": 0.5}, grace=0.1, tools=[flood]) as server:
        if era == "modern":
            request = server.request(call("flood", {}, progressToken=1))
        else:
            opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
            hello = await server.ask(method="POST", head=JSON, body=json.dumps(opening).encode())
            params = {"name": "flood", "arguments": {}, "_meta": {"progressToken": 1}}
            body = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}).encode()
            head = f"{JSON}mcp-session-id: {hello.headers['mcp-session-id']}\r\ncontent-length: {len(body)}\r\n"
            request = f"POST /mcp HTTP/1.1\r\nhost: localhost\r\n{head}\r\n".encode() + body
        with socket.create_connection(("127.0.0.1", server.port)) as deaf:
            deaf.sendall(request)
            with anyio.fail_after(20):
                await ended.wait()
        assert sent[0] > 10
        assert peak[0] <= 1024 * 1024
        await alive(server)


async def test_hts_020_t31_random_messages_are_answered_and_never_by_a_crash(
    served: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(7)
    scraps = [None, True, -1, 2**70, 1e308, "", "x", "tools/call", "\ud800", [], {}, "2.0", "generate", *"{}[]"]

    def value(depth: int = 0) -> Any:
        pick = chance.random()
        if depth > 3 or pick < 0.5:
            return chance.choice(scraps)
        if pick < 0.7:
            return [value(depth + 1) for _ in range(chance.randrange(4))]
        keys = ("jsonrpc", "id", "method", "params", "name", "arguments", "_meta", "uri", "cursor", "prompt")
        return {chance.choice(keys): value(depth + 1) for _ in range(chance.randrange(6))}

    def message() -> Any:
        methods = ("tools/call", "tools/list", "resources/read", "initialize", "server/discover", "nope", "ping")
        whole = {"jsonrpc": "2.0", "id": chance.randrange(99), "method": chance.choice(methods), "params": value()}
        if chance.random() < 0.5 and isinstance(whole["params"], dict):
            whole["params"]["_meta"] = ABOUT
        for name in list(whole):
            if chance.random() < 0.15:
                whole[name] = value()
        return whole if chance.random() < 0.8 else value()

    async with served(http={"access_log": False}) as server:
        statuses: list[int] = []

        async def some(count: int) -> None:
            for _ in range(count):
                body = json.dumps(message()).encode()
                if chance.random() < 0.1:
                    body = body[: chance.randrange(len(body) + 1)] + bytes([chance.randrange(256)])
                version = chance.choice(("mcp-protocol-version: 2026-07-28\r\n", "", "mcp-protocol-version: x\r\n"))
                head = JSON + version + f"mcp-method: {chance.choice(('tools/call', 'tools/list'))}\r\n"
                statuses.append((await server.ask(method="POST", head=head, body=body)).status)

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(some, 500)
        assert len(statuses) == 4000
        assert max(statuses) < 500
        await alive(server)
    written = capsys.readouterr()
    assert "Traceback" not in written.err + written.out


def opening() -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}).encode()


async def test_one_token_does_not_take_the_sessions_of_all_others(served: Any) -> None:
    async with served(http={"require_token": True, "sessions": 4}) as server:
        alice, bob = [bearer(await Tokens(server.app.store).create(name)) for name in ("alice", "bob")]

        async def hello(who: str) -> Answer:
            answer: Answer = await server.ask(method="POST", head=JSON + who, body=opening())
            return answer

        opened = [await hello(alice), await hello(alice)]
        refused = await hello(alice)
        assert [one.status for one in (*opened, refused, await hello(bob))] == [200, 200, 429, 200]
        assert refused.data["error"]["message"] == ("alice has 2 sessions open; end one with DELETE, or go on in it")
        assert refused.headers["retry-after"] == "30"
        mine = f"mcp-session-id: {opened[0].headers['mcp-session-id']}\r\n"
        assert (await server.ask(method="DELETE", head=mine + alice)).status == 200
        answer = None
        with anyio.fail_after(20):  # its seat is free when its connection has ended
            while answer is None or answer.status == 429:
                answer = await hello(alice)
        assert answer.status == 200


async def test_openings_that_come_to_nothing_keep_no_seat_and_a_crowd_gets_no_more_than_there_are(served: Any) -> None:
    async with served(http={"require_token": True, "sessions": 8}, principals={"alice": {"sessions": 3}}) as server:
        alice = bearer(await Tokens(server.app.store).create("alice"))
        for _ in range(5):  # the SDK takes no client that does not read JSON
            head = "content-type: application/json\r\naccept: text/plain\r\n"
            assert (await server.ask(method="POST", head=head + alice, body=opening())).status == 406
        statuses: list[int] = []

        async def hello() -> None:
            statuses.append((await server.ask(method="POST", head=JSON + alice, body=opening())).status)

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(hello)
        assert sorted(statuses) == [200, 200, 200, 429, 429, 429]
