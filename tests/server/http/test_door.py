"""Who comes in, and that what belongs to one is nobody else's: T2, T3, T4 and the rows HTS-003 to HTS-005, HTS-019."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from faults.replies import ok
from faults.server import FaultServer
from mcp import MCPError
from server.http.talking import ABOUT, JSON, bearer, call, client, drain, known, until, upstream

from mcp_llm.server.http.tokens import Tokens

pytestmark = pytest.mark.anyio

ASKED = {"prompt": "one two", "model": "demo"}


@pytest.fixture
def note(home: Path) -> Path:
    """A file in the working folder."""
    path = Path("notes.txt").resolve()
    path.write_text("between us")
    return path


def kept(home: Path) -> bytes:
    """Everything on disk."""
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


async def test_without_a_good_token_nobody_comes_in_and_the_words_say_what_to_do(served: Any) -> None:
    async with served(http={"require_token": True}) as server:
        token = await Tokens(server.app.store).create("alice")
        for head, status, error in (
            ("", 401, ""),
            (bearer("nonsense"), 401, "invalid_token"),
            (bearer(token[:-1]), 401, "invalid_token"),
            (bearer("x" * 9000), 401, "invalid_request"),
            ("authorization: Basic YTpi\r\n", 401, "invalid_request"),
            ("authorization: Bearer\r\n", 401, "invalid_request"),
            (bearer(token) + bearer(token), 401, "invalid_request"),
            (f"x-api-key: {token}\r\ncookie: token={token}\r\n", 401, ""),
        ):
            answer = await server.post(call("list_models", {}), head)
            assert answer.status == status, head[:40]
            assert answer.headers["www-authenticate"].startswith("Bearer ")
            assert (f'error="{error}"' in answer.headers["www-authenticate"]) is bool(error)
            assert token not in str(answer)
        good = await server.post(call("list_models", {}), bearer(token))
        assert (good.status, good.data["result"]["isError"]) == (200, False)


async def test_hts_005_a_token_in_the_query_is_refused_even_beside_a_good_one(served: Any) -> None:
    async with served(http={"require_token": True}) as server:
        token = await Tokens(server.app.store).create("alice")
        for query in (f"token={token}", f"access_token={token}", f"a=b&api_key={token}", "TOKEN=", f"%74oken={token}"):
            for head in ("", bearer(token)):
                answer = await server.post(call("list_models", {}), head, path=f"/mcp?{query}")
                assert (answer.status, answer.data["error"]["message"][:15]) == (400, "a token belongs")


async def test_an_open_server_refuses_a_bad_token_all_the_same(served: Any) -> None:
    async with served() as server:
        assert not server.application.asks
        assert (await server.post(call("list_models", {}))).status == 200
        assert (await server.post(call("list_models", {}), bearer("nonsense"))).status == 401


async def test_a_server_that_finds_tokens_asks_for_one_also_when_the_last_is_revoked(served: Any) -> None:
    async with served(http={"require_token": True}) as server:
        await Tokens(server.app.store).create("alice")
    async with served() as server:
        assert server.application.asks
        await Tokens(server.app.store).revoke("alice")
        assert (await server.post(call("list_models", {}))).status == 401


async def test_t4_what_one_principal_has_made_is_unknown_to_another_in_the_same_words(served: Any, mode: Any) -> None:
    async with served(http={"require_token": True}) as server:
        tokens = Tokens(server.app.store)
        alice, bob = await tokens.create("alice"), await tokens.create("bob")
        async with client(server, alice, mode) as host:
            made: Any = await host.call_tool("generate", ASKED)
            run_id = made.structured_content["run_id"]
            mine: Any = await host.call_tool("runs", {"action": "read", "run_id": run_id})
            assert not mine.is_error
            assert [
                row["run_id"] for row in (await host.call_tool("runs", {"action": "list"})).structured_content["runs"]
            ] == [run_id]
        missing = "0" * 32
        async with client(server, bob, mode) as host:
            for action in ("read", "wait", "cancel", "resume", "answer"):
                said = []
                for wanted in (run_id, missing):
                    arguments = {"action": action, "run_id": wanted, "answer": True}
                    foreign: Any = await host.call_tool("runs", arguments)
                    assert foreign.is_error
                    said.append(foreign.content[0].text.replace(wanted, "ID"))
                assert said[0] == said[1]
            said = []
            for wanted in (run_id, missing):
                further: dict[str, Any] = {"prompt": "x", "model": "demo", "servers": [], "continue_from": wanted}
                refused: Any = await host.call_tool("run_agent", further)
                assert refused.is_error
                said.append(refused.content[0].text.replace(wanted, "ID"))
            assert said[0] == said[1]
            for uri in ("runs://{}", "runs://{}?offset=1"):
                errors = []
                for wanted in (run_id, missing):
                    with pytest.raises(MCPError) as caught:
                        await host.read_resource(uri.format(wanted))
                    errors.append((caught.value.error.code, caught.value.error.message.replace(wanted, "ID")))
                assert errors[0] == errors[1]
            listed: Any = await host.call_tool("runs", {"action": "list"})
            assert listed.structured_content == {"runs": []}


async def test_a_thread_of_one_principal_is_no_thread_for_another(served: Any) -> None:
    async with served(http={"require_token": True}) as server:
        tokens = Tokens(server.app.store)
        alice, bob = await tokens.create("alice"), await tokens.create("bob")
        async with client(server, alice) as host:
            made: Any = await host.call_tool("generate", {**ASKED, "thread": "new"})
            thread = made.structured_content["thread"]
        said = []
        async with client(server, bob) as host:
            for wanted in (thread, "0" * len(thread)):
                foreign: Any = await host.call_tool("generate", {**ASKED, "thread": wanted})
                assert foreign.is_error
                said.append(foreign.content[0].text.replace(wanted, "ID"))
        assert said[0] == said[1]


async def test_hts_019_a_session_belongs_to_the_token_that_opened_it(served: Any) -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    opening = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).encode()
    listing = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}).encode()
    async with served(http={"require_token": True}) as server:
        tokens = Tokens(server.app.store)
        alice, bob = await tokens.create("alice"), await tokens.create("bob")
        opened = await server.ask(method="POST", head=JSON + bearer(alice), body=opening)
        session = f"mcp-session-id: {opened.headers['mcp-session-id']}\r\n"
        stolen = await server.ask(method="POST", head=JSON + session + bearer(bob), body=listing)
        unknown = await server.ask(
            method="POST", head=f"{JSON}mcp-session-id: {'0' * 32}\r\n{bearer(bob)}", body=listing
        )
        assert (stolen.status, stolen.body) == (404, unknown.body)
        assert (await server.ask(method="DELETE", head=JSON + session + bearer(bob))).status == 404
        assert (await server.ask(method="POST", head=JSON + session + bearer(alice), body=listing)).status == 200


async def test_a_token_is_held_to_its_tools_in_lists_and_calls(served: Any, mode: Any) -> None:
    async with served(http={"require_token": True}) as server:
        token = await Tokens(server.app.store).create("alice", tools=["gen*", "list_models"])
        async with client(server, token, mode) as host:
            assert [tool.name for tool in (await host.list_tools()).tools] == ["generate", "list_models"]
            assert not (await host.call_tool("generate", ASKED)).is_error
            for name in ("runs", "run_agent", "compare-models", "nothing"):
                refused: Any = await host.call_tool(name, {"action": "list"})
                assert refused.is_error
                assert "may not call" in refused.content[0].text


async def test_what_a_tool_shows_is_read_with_that_tool_only_but_for_what_ones_own_tools_made(
    served: Any, mode: Any
) -> None:
    async with served(http={"require_token": True}) as server:
        tokens = Tokens(server.app.store)
        narrow = await tokens.create("alice", tools=["generate"])
        async with client(server, narrow, mode) as host:
            mine: Any = await host.call_tool("generate", ASKED)
            run = mine.structured_content["run_id"]
            assert (await host.read_resource(f"runs://{run}")).contents
            for uri in ("runs://", "usage://today", "models://", "agents://"):
                with pytest.raises(MCPError, match="this token may not read"):
                    await host.read_resource(uri)
            listed = [str(one.uri).partition("://")[0] for one in (await host.list_resources()).resources]
            assert not {"runs", "usage", "models", "agents"} & set(listed)
        wide = await tokens.create("alice", replace=True)
        await known(server, wide)
        async with client(server, wide, mode) as host:
            agent: Any = await host.call_tool("run_agent", {"prompt": "hi", "model": "demo"})
            assert (await host.read_resource("runs://")).contents
        again = await tokens.create("alice", tools=["generate"], replace=True)
        await known(server, again)
        async with client(server, again, mode) as host:
            with pytest.raises(MCPError, match="this token may not read"):
                await host.read_resource(f"runs://{agent.structured_content['run_id']}")


async def test_a_stream_ends_soon_after_its_token_is_revoked_and_others_go_on(served: Any) -> None:
    async with served(http={"require_token": True}) as server:
        tokens = Tokens(server.app.store)
        alice, bob = await tokens.create("alice"), await tokens.create("bob")
        listen = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "subscriptions/listen",
            "params": {"notifications": {"toolsListChanged": True}, "_meta": ABOUT},
        }
        async with (
            server.connected(server.request(listen, bearer(alice))) as cut,
            server.connected(server.request(listen, bearer(bob))) as kept_open,
        ):
            with anyio.fail_after(20):
                assert (await cut.receive()).startswith(b"HTTP/1.1 200")
                assert (await kept_open.receive()).startswith(b"HTTP/1.1 200")
            await tokens.revoke("alice")
            with anyio.fail_after(20):
                await drain(cut)
            with anyio.move_on_after(0.1):
                await drain(kept_open)
                raise AssertionError("the other stream was cut as well")


async def test_a_call_in_flight_ends_soon_after_its_token_is_revoked_and_says_so(served: Any, mode: Any) -> None:
    release, inside = anyio.Event(), []
    said: dict[str, str] = {}

    async def hold() -> str:
        """Wait."""
        inside.append(1)
        await release.wait()
        return "done"

    async with served(http={"require_token": True}, tools=[hold]) as server:
        tokens = Tokens(server.app.store)
        names = {name: await tokens.create(name) for name in ("alice", "bob")}

        async def ask(name: str) -> None:
            async with client(server, names[name], mode) as host:
                given: Any = await host.call_tool("hold", {})
                said[name] = given.content[0].text
                if name == "alice":
                    release.set()

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for name in names:
                    tasks.start_soon(ask, name)
                await until(lambda: len(inside) == 2)
                await tokens.revoke("alice")
    assert said == {"alice": "the token of this call has been revoked", "bob": "done"}


async def test_a_call_in_flight_outlives_the_time_of_its_token(served: Any) -> None:
    release, inside = anyio.Event(), []

    async def hold() -> str:
        """Wait."""
        inside.append(1)
        await release.wait()
        return "done"

    async with served(http={"require_token": True}, tools=[hold]) as server, anyio.create_task_group() as tasks:
        soon = time.time_ns() // 1_000_000 + 1500
        alice = bearer(await Tokens(server.app.store).create("alice", expires=soon))
        answers: list[Any] = []

        async def ask() -> None:
            answers.append(await server.post(call("hold", {}), alice))

        tasks.start_soon(ask)
        await until(lambda: inside)
        with anyio.fail_after(20):
            while (await server.post(call("list_models", {}), alice)).status == 200:
                pass
        await server.application.calls.dismiss("its token is revoked")
        release.set()
        await until(lambda: answers)
    assert answers[0].data["result"]["content"][0]["text"] == "done"


async def test_a2a_008_t3_the_callers_token_reaches_neither_provider_nor_disk_nor_log(
    served: Any, home: Path, capsys: pytest.CaptureFixture[str], mode: Any
) -> None:
    with FaultServer([ok("openai", stream=True)] * 2) as provider:
        upstream(home, provider.url)
        async with served(http={"require_token": True}) as server:
            token = await Tokens(server.app.store).create("alice")
            async with client(server, token, mode) as host:
                result: Any = await host.call_tool("generate", {"prompt": "hi", "model": "gate:m"})
                assert not result.is_error, result.content
            await server.post(call("list_models", {}), bearer(token), path=f"/mcp?token={token}")
            await server.post(call("list_models", {}), bearer(f"{token}x"))
        secret = token.split("_", 2)[2]
        assert provider.requests
        assert not any(secret in str(request) for request in provider.requests)
        assert not any("authorization" in request.headers for request in provider.requests)
    assert secret.encode() not in kept(home)
    written = capsys.readouterr()
    assert secret not in written.out + written.err
    assert "tools/call alice 200" in written.err


async def test_who_may_call_so_often_a_minute_is_told_when_to_come_back(served: Any, mode: Any) -> None:
    limits = {"alice": {"per_minute": 2}, "*": {"per_minute": 3}}
    async with served(http={"require_token": True}, principals=limits) as server:
        tokens = Tokens(server.app.store)
        alice, bob = await tokens.create("alice"), await tokens.create("bob")
        async with client(server, alice, mode) as host:
            for _ in range(2):
                assert not (await host.call_tool("generate", ASKED)).is_error
            with pytest.raises(MCPError, match="alice may call 2 times a minute; try again in"):
                await host.call_tool("generate", ASKED)
            assert (await host.list_tools()).tools
        told = await server.post(call("generate", ASKED), bearer(alice))
        assert told.status == 429
        assert 50 <= int(told.headers["retry-after"]) <= 61
        async with client(server, bob, mode) as host:
            for _ in range(3):
                assert not (await host.call_tool("generate", ASKED)).is_error


async def test_one_principal_cannot_take_all_the_room(served: Any) -> None:
    release, inside = anyio.Event(), []

    async def hold() -> str:
        """Wait."""
        inside.append(1)
        await release.wait()
        return "done"

    limits = {"alice": {"at_once": 2}}
    async with (
        served(http={"require_token": True}, principals=limits, tools=[hold]) as server,
        anyio.create_task_group() as tasks,
    ):
        tokens = Tokens(server.app.store)
        alice, bob = [bearer(await tokens.create(name)) for name in ("alice", "bob")]
        for head in (alice, alice, bob, bob, bob):
            tasks.start_soon(server.post, call("hold", {}), head)
        await until(lambda: len(inside) == 5)
        full = await server.post(call("hold", {}), alice)
        assert (full.status, full.headers["retry-after"]) == (429, "1")
        assert "alice has 2 calls in flight" in full.data["error"]["message"]
        assert (await server.post(call("list_models", {}), bob)).status == 200
        release.set()
        await until(lambda: server.application.calls.running == 0)
        assert (await server.post(call("list_models", {}), alice)).status == 200


async def test_a_principals_day_is_its_own(served: Any) -> None:
    async with served(http={"require_token": True}, principals={"*": {"day_calls": 2}}) as server:
        tokens = Tokens(server.app.store)
        names = {name: await tokens.create(name) for name in ("alice", "bob")}
        async with client(server, names["alice"]) as host:
            results: list[Any] = [await host.call_tool("generate", ASKED) for _ in range(3)]
            assert [result.is_error for result in results] == [False, False, True]
            assert "The principal alice on 20" in results[2].content[0].text
        async with client(server, names["bob"]) as host, anyio.create_task_group() as tasks:
            answers: list[Any] = []

            async def one() -> None:
                answers.append(await host.call_tool("generate", ASKED))

            for _ in range(6):
                tasks.start_soon(one)
        assert sorted(answer.is_error for answer in answers) == [False, False, True, True, True, True]


async def test_files_of_the_folder_the_server_was_started_in_are_for_its_owner_alone(served: Any, note: Path) -> None:
    message = call("generate", {**ASKED, "files": ["notes.txt"]})
    async with served() as server:
        assert not (await server.post(message)).data["result"]["isError"]
    for settings, refused in (({}, True), ({"files": {"roots": [str(note.parent)]}}, False)):
        async with served(http={"require_token": True}, **settings) as server:
            token = await Tokens(server.app.store).create(f"t{refused}")
            answer = (await server.post(message, bearer(token))).data["result"]
            assert (answer["isError"], "between us" in str(answer)) == (refused, not refused), answer


@pytest.mark.parametrize("depth", ["NaN", True, 1e308, None, [], -999])
async def test_a2a_003_004_a_forged_trace_buys_nothing(served: Any, depth: Any) -> None:
    limits = {"alice": {"day_calls": 1}}
    async with served(http={"require_token": True}, principals=limits) as server:
        token = await Tokens(server.app.store).create("alice")
        asked = {"prompt": "one", "model": "demo", "servers": []}
        message = call("run_agent", asked)
        message["params"]["_meta"] = {**ABOUT, "mcp-llm/trace": {"depth": depth}}
        first = (await server.post(message, bearer(token))).data["result"]
        if depth != -999:
            assert (first["isError"], "mcp-llm/trace" in first["content"][0]["text"]) == (True, True)
            return
        assert not first["isError"], first
        second = (await server.post(message, bearer(token))).data["result"]
        assert "The principal alice on" in second["content"][0]["text"]
