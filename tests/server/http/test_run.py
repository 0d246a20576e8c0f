"""The process: what it refuses to start as (T2), how it ends (F20, HTS-018), and several over one store."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from faults.replies import SSE, ok
from faults.server import FaultServer, Reply
from mcp import Client
from server.http.talking import Served, call, said, until, upstream

from mcp_llm.server.http.tokens import Tokens
from mcp_llm.server.seal import Seal
from mcp_llm.store.sqlite import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    Process = Callable[..., tuple[subprocess.Popen[str], int]]

pytestmark = pytest.mark.anyio

HALF = said("half an answer")
HANGING = Reply(headers=SSE, body=HALF, framing="chunked", hang=len(HALF))
ASKED = {"prompt": "hi", "model": "gate:m", "wait_s": 300}


def refused(*flags: str) -> str:
    """What a server says that does not start."""
    command = [sys.executable, "-m", "mcp_llm", "serve", "--http", "--port", "0", *flags]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_t2_beyond_this_machine_nothing_starts_without_tokens_and_names(home: Path, process: Process) -> None:
    everywhere = ("--host", "0.0.0.0")
    assert "`mcp-llm token create NAME` makes a token" in refused(*everywhere, "--allow-host", "box.lan")
    assert "mcp-llm token create" in refused("--host", "::")
    (home / "mcp_llm.toml").write_text("[http]\nrequire_token = true\n")
    assert "--allow-host NAME" in refused(*everywhere)
    _, port = process(*everywhere, "--allow-host", "box.lan")
    answer = anyio.run(lambda: Served(port).ask("/health", host="box.lan"))
    assert answer.status == 200


def test_what_cannot_be_served_is_said_in_a_line(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "--port" in refused("--port", str(taken.getsockname()[1]))
    assert "cannot be used" in refused("--host", "203.0.113.7")
    assert "cannot be used" in refused("--host", "no-such-host.invalid")
    (home / "state.db").mkdir()
    assert "state database" in refused()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_hts_018_f20_a_signal_ends_all_that_is_under_way_in_good_order(
    process: Process, home: Path, how: signal.Signals
) -> None:
    with FaultServer([HANGING] * 20) as provider:
        upstream(home, provider.url)
        child, port = process()
        server = Served(port)
        answers: list[Any] = []

        async def legacy() -> None:
            async with Client(server.url, mode="legacy") as host:
                answers.append(await host.call_tool("generate", ASKED))

        async def modern() -> None:
            answers.append((await server.post(call("generate", ASKED))).data["result"])

        async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
            await stack.enter_async_context(server.connected(b""))  # says nothing
            listen = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": call("", {})["params"]}
            listen["params"] = {"notifications": {"toolsListChanged": True}, "_meta": listen["params"]["_meta"]}
            await stack.enter_async_context(server.connected(server.request(listen)))  # waits for ever
            for _ in range(5):
                tasks.start_soon(legacy)
                tasks.start_soon(modern)
            for _ in range(10):
                await anyio.to_thread.run_sync(provider.wait_request, 20)
            child.send_signal(how)
            asked = call("runs", {"action": "list"})  # what asks no provider: this one hangs
            late = await server.post(asked)
            while late.status == 200:  # the signal is still on its way
                late = await server.post(asked)
            assert (late.status, late.headers["retry-after"]) == (503, "1")
            assert (await server.ask("/ready")).data == {"status": "draining"}
        assert await anyio.to_thread.run_sync(lambda: child.wait(10)) == 0
        for _ in range(10):
            await anyio.to_thread.run_sync(provider.wait_closed, 10)
    assert len(answers) == 10
    for answer in answers:
        text = answer["content"][0]["text"] if isinstance(answer, dict) else answer.content[0].text
        assert "the server is ending" in text
    with closing(sqlite3.connect(home / "state.db")) as state:
        rows = state.execute("SELECT status, result FROM runs").fetchall()
    assert [status for status, _ in rows] == ["cancelled"] * 10
    assert all("half an answer" in result for _, result in rows)


async def test_what_ends_within_the_grace_is_answered_and_a_run_is_left_for_the_next_process(
    process: Process, home: Path
) -> None:
    slow = ok("openai", stream=True, text="a b c d e f g h")
    slow = Reply(headers=slow.headers, body=slow.body, framing="chunked", piece=len(slow.body) // 8, every=0.1)
    with FaultServer([HANGING, slow]) as provider:
        upstream(home, provider.url)
        child, port = process()
        server = Served(port)
        running = (await server.post(call("generate", {**ASKED, "wait_s": 0}))).data["result"]["structuredContent"]
        assert running["status"] == "running"
        await anyio.to_thread.run_sync(provider.wait_request, 20)
        answers: list[Any] = []

        async def ask() -> None:
            answers.append(await server.post(call("generate", ASKED)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.to_thread.run_sync(provider.wait_request, 20)
            child.terminate()
        assert await anyio.to_thread.run_sync(lambda: child.wait(10)) == 0
        assert answers[0].data["result"]["structuredContent"]["response"] == "a b c d e f g h"
    _, port = process()
    read = {"action": "read", "run_id": running["run_id"]}
    left = (await Served(port).post(call("runs", read))).data["result"]["structuredContent"]
    assert (left["status"], left["response"]) == ("interrupted", "half an answer")


async def test_f20_the_servers_of_an_agent_that_was_at_work_are_gone_with_the_process(
    process: Process, home: Path, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    child, port = process(
        config=f"""[servers.slow]
command = {sys.executable!r}
args = [{str(Path(__file__).with_name("hanging.py"))!r}, {str(note)!r}]
approve = {{ "*" = "allow" }}
[agents]
servers = ["slow"]
"""
    )
    asked = {"prompt": "linger", "model": "demo", "wait_s": 300}
    answers: list[Any] = []

    async def ask() -> None:
        answers.append(await Served(port).raw(Served(port).request(call("run_agent", asked))))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await until(lambda: answers or (note.exists() and note.read_text()))
        assert not answers
        child.terminate()
    assert await anyio.to_thread.run_sync(lambda: child.wait(10)) == 0
    await until(lambda: not Path(f"/proc/{note.read_text()}").exists())
    with closing(sqlite3.connect(home / "state.db")) as state:
        rows = state.execute("SELECT status FROM runs").fetchall()
    assert rows == [("cancelled",)]


async def test_a_run_begun_in_one_process_is_waited_for_read_and_cancelled_through_another(
    process: Process, home: Path
) -> None:
    store = Store.open(home / "state.db")
    token = await Tokens(store).create("alice")
    await store.aclose()
    head = f"authorization: Bearer {token}\r\n"
    slow = ok("openai", stream=True, text="a b c d e f g h")
    slow = Reply(headers=slow.headers, body=slow.body, framing="chunked", piece=len(slow.body) // 8, every=0.1)
    with FaultServer([slow, HANGING]) as provider:
        upstream(home, provider.url)
        one, two = Served(process()[1]), Served(process()[1])

        async def do(server: Served, tool: str, **arguments: Any) -> Any:
            return (await server.post(call(tool, arguments), head)).data["result"]["structuredContent"]

        first = await do(one, "generate", prompt="hi", model="gate:m", wait_s=0)
        waited = await do(two, "runs", action="wait", run_id=first["run_id"], wait_s=20)
        assert (waited["run_id"], waited["response"]) == (first["run_id"], "a b c d e f g h")

        second = await do(one, "generate", prompt="hi", model="gate:m", wait_s=0)
        await anyio.to_thread.run_sync(provider.wait_request, 20)
        listed = await do(two, "runs", action="list")
        assert next((run["run_id"], run["status"]) for run in listed["runs"]) == (second["run_id"], "running")
        ended = await do(two, "runs", action="cancel", run_id=second["run_id"], wait_s=20)
        assert (ended["status"], ended["partial"]) == ("cancelled", "half an answer")
        await anyio.to_thread.run_sync(provider.wait_closed, 10)


async def test_a_session_of_another_process_is_unknown_and_its_client_begins_again(
    process: Process, home: Path
) -> None:
    one, two = Served(process()[1]), Served(process()[1])
    unknown = await two.ask(method="GET", head="accept: text/event-stream\r\nmcp-session-id: " + "0" * 32 + "\r\n")
    assert unknown.status == 404
    for server in (one, two):
        async with Client(server.url, mode="legacy") as host:
            assert (await host.list_tools()).tools


async def test_what_one_process_sealed_another_of_the_same_home_opens(home: Path) -> None:
    stores = [Store.open(home / "state.db"), Store.open(home / "state.db"), Store.open(None)]
    one, two, stranger = seals = [Seal() for _ in stores]
    early = one.seal(b"before the store")
    for seal, store in zip(seals, stores, strict=True):
        await seal.share(store)
    assert one.unseal(early) == b"before the store"
    assert two.unseal(one.seal(b"state")) == b"state"
    with pytest.raises(Exception, match=r"."):
        stranger.unseal(one.seal(b"state"))
    for store in stores:
        await store.aclose()


async def test_files_that_run_out_are_waited_for_and_the_server_recovers(process: Process, home: Path) -> None:
    resource = pytest.importorskip("resource")
    child, port = process()
    server = Served(port)
    resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (40, 4096))
    async with AsyncExitStack() as stack:
        for _ in range(60):
            await stack.enter_async_context(server.connected(b""))
    await until(lambda: child.poll() is None)
    assert (await server.post(call("list_models", {}))).status == 200


async def test_neither_a_signal_that_nobody_means_nor_a_damaged_row_ends_the_server(
    process: Process, home: Path
) -> None:
    damaged, whole = "a" * 32, "b" * 32
    store = Store.open(home / "state.db")
    for run_id, request in ((damaged, "{dam"), (whole, "{}")):
        await store.execute(
            "INSERT INTO runs (id, kind, principal, status, created, updated, request, owner, fence, expires) "
            "VALUES (?, 'agent', 'local', 'running', 1, 1, ?, 'gone', 1, 1)",
            (run_id, request),
        )
    await store.aclose()
    child, port = process()
    stderr = child.stderr
    assert stderr is not None
    told: list[str] = []
    reader = threading.Thread(target=lambda: told.extend(stderr))  # what nobody reads is lost when the pipe is full
    reader.start()
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
        child.send_signal(number)
    async with Client(Served(port).url) as host:
        states: dict[str, str] = {}
        with anyio.fail_after(20):
            while states.get(whole) != "failed":  # it was taken up, and the damaged one before it was not in its way
                listed: Any = await host.call_tool("runs", {"action": "list"})
                states = {row["run_id"]: row["status"] for row in listed.structured_content["runs"]}
        assert states[damaged] == "interrupted"
        refused: Any = await host.call_tool("runs", {"action": "resume", "run_id": damaged})
        assert "is damaged on disk" in refused.content[0].text
    child.send_signal(signal.SIGTERM)
    assert await anyio.to_thread.run_sync(lambda: child.wait(10)) == 0
    reader.join(10)
    assert "mcp-llm: SIGTERM: the server is ending\n" in told
