"""A narrowed token learns nothing past its tools: not by a page's data, a completion, or a stream that listens."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from mcp import MCPError
from mcp.types import PromptReference, ResourceTemplateReference
from server.http.talking import ABOUT, JSON, bearer, client, known

from mcp_llm.server.http.tokens import Tokens

pytestmark = pytest.mark.anyio

ASKED = {"prompt": "one two", "model": "demo"}
NAMED = PromptReference(type="ref/prompt", name="any")


async def test_what_pages_read_goes_with_the_tool_that_shows_the_same(served: Any, mode: Any) -> None:
    async with served(http={"require_token": True}) as server:
        tokens = Tokens(server.app.store)
        wide = await tokens.create("alice")
        async with client(server, wide, mode) as host:
            agent: Any = await host.call_tool("run_agent", {"prompt": "hi", "model": "demo", "servers": []})
            foreign = agent.structured_content["run_id"]
            assert (await host.read_resource(f"view://run/{foreign}")).contents
            assert (await host.read_resource("view://runs")).contents
        narrow = await tokens.create("alice", tools=["compare_models"], replace=True)
        await known(server, narrow)
        async with client(server, narrow, mode) as host:
            made: Any = await host.call_tool("compare_models", {"prompt": "hi", "models": ["demo", "demo:other"]})
            mine = made.structured_content["run_id"]
            assert (await host.read_resource(f"view://run/{mine}")).contents
            for uri in (
                "view://runs",
                "view://runs?kind=agent",
                f"view://run/{foreign}",
                f"view://run/{foreign}?wait=1",
            ):
                with pytest.raises(MCPError, match="this token may not read"):
                    await host.read_resource(uri)


async def test_a_completion_goes_with_the_tool_that_would_list_the_same(served: Any, mode: Any) -> None:
    async with served(http={"require_token": True}) as server:
        tokens = Tokens(server.app.store)
        narrow = await tokens.create("alice", tools=["generate", "list_models"])
        async with client(server, narrow, mode) as host:
            await host.call_tool("generate", ASKED)
            assert (await host.complete(NAMED, {"name": "model", "value": "demo"})).completion.values
            assert (await host.complete(NAMED, {"name": "tier", "value": ""})).completion.values
            for argument in ("run", "run_id", "agent", "server", "servers"):
                with pytest.raises(MCPError, match="this token may not complete"):
                    await host.complete(NAMED, {"name": argument, "value": ""})
            template = ResourceTemplateReference(type="ref/resource", uri="runs://{id}{?offset}")
            with pytest.raises(MCPError, match="this token may not read"):
                await host.complete(template, {"name": "id", "value": ""})


async def test_what_an_agent_is_told_goes_with_the_tool_that_runs_it(served: Any, mode: Any) -> None:
    async with served(http={"require_token": True}) as server:
        tokens = Tokens(server.app.store)
        runs = await tokens.create("alice", tools=["run_agent"])
        asks = await tokens.create("bob", tools=["generate"])
        async with client(server, runs, mode) as host:
            assert "agent" in {one.name for one in (await host.list_prompts()).prompts}
            assert (await host.get_prompt("agent")).messages
        async with client(server, asks, mode) as host:
            names = {one.name for one in (await host.list_prompts()).prompts}
            assert "summarize" in names
            assert "agent" not in names
            with pytest.raises(MCPError, match="this token may not read 'agent': it may call generate only"):
                await host.get_prompt("agent")


async def test_a_stream_listens_to_nothing_that_could_not_be_read(served: Any) -> None:
    listen: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen"}
    async with served(http={"require_token": True}) as server:
        narrow = bearer(await Tokens(server.app.store).create("alice", tools=["generate"]))
        listen["params"] = {"notifications": {"resourceSubscriptions": ["usage://"]}, "_meta": ABOUT}
        answer = await server.post(listen, narrow)
        assert "this token may not read 'usage://'" in answer.data["error"]["message"]
        listen["params"]["notifications"] = {"toolsListChanged": True}
        async with server.connected(server.request(listen, narrow)) as stream:
            with anyio.fail_after(20):
                assert (await stream.receive()).startswith(b"HTTP/1.1 200")


async def test_no_limit_is_passed_by_saying_the_version_twice(served: Any) -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    opening = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).encode()
    plain = {"name": "list_models", "arguments": {}}
    calling = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": plain}).encode()
    twice = "mcp-protocol-version: 2025-06-18\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: ping\r\n"
    async with served(http={"require_token": True}, principals={"*": {"per_minute": 1}}) as server:
        alice = bearer(await Tokens(server.app.store).create("alice"))
        opened = await server.ask(method="POST", head=JSON + alice, body=opening)
        session = f"mcp-session-id: {opened.headers['mcp-session-id']}\r\n"
        statuses = [
            (await server.ask(method="POST", head=JSON + session + twice + alice, body=calling)).status for _ in "123"
        ]
        assert statuses == [200, 429, 429]
