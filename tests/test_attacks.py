"""Attacks that once got through, and some that never did: hostile replies, folders, callers, and careless Python."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from faults.asking import CANARY, Asking, ask, failing
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm import config
from mcp_llm.errors import Denied, InvalidInput, SchemaMismatch, TooLarge
from mcp_llm.llm.generate import Ask, generate
from mcp_llm.types.chat import ToolSpec
from mcp_llm.types.message import Message, Text, ToolResult

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
NESTED = '{"a":' * 300 + "1" + "}" * 300
PRICED = {"prices": {"acme:m": {"input": 1.0, "output": 10.0}}, "budget": {"call_usd": "0.01"}}


@pytest.fixture
def asking(home: Path) -> Asking:
    return Asking(home)


def answer(content: str | None, **more: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **more}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    return Reply(body=json.dumps({"id": "x", "model": "m", "choices": [choice], "usage": usage}).encode())


# A hostile model


async def test_an_escaped_half_character_in_a_parsed_answer_costs_one_character(asking: Asking) -> None:
    with FaultServer([answer('{"a\\udc00":"\\ud800"}')]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            result = await ask(service, model, json_schema={"type": "object"})
    assert result.parsed == {"a\ufffd": "\ufffd"}
    json.loads(result.model_dump_json())


@pytest.mark.parametrize("text", [NESTED, '{"a": 1e999}', '{"a": NaN}', "[" * 100_000])
async def test_an_answer_that_nobody_could_write_again_is_a_mismatch(asking: Asking, text: str) -> None:
    with FaultServer([answer(text)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            with pytest.raises(SchemaMismatch):
                await ask(service, model, json_schema={"type": "object"})
    assert len(server.requests) == 2


@pytest.mark.parametrize("raw", [NESTED, "[" * 100_000, '{"a": NaN}', '{"a": -1e999}'])
async def test_arguments_that_nobody_could_write_again_are_told_as_their_text(asking: Asking, raw: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "t", "arguments": raw}}
    with FaultServer([answer(None, tool_calls=[call])]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            result = await ask(service, model, tools=[ToolSpec(name="t")])
    assert result.tool_calls is not None
    assert result.tool_calls[0].arguments == raw
    json.loads(result.model_dump_json())


async def test_a_reply_nested_beyond_reason_is_garbled(asking: Asking) -> None:
    nested = json.loads("[" * 300 + "]" * 300)
    with FaultServer([answer("x", annotations=nested)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            assert (await failing(service, model)).kind == "garbled"


async def test_a_models_endless_name_does_not_flood_the_receipt(asking: Asking) -> None:
    body = {**json.loads(answer("x").body), "model": "m" * 1_000_000, "id": "i" * 1_000_000}
    with FaultServer([Reply(body=json.dumps(body).encode())]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            result = await ask(service, model)
    assert len(result.model_dump_json()) < 5_000


# Keys in what a provider says


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=401, body=json.dumps({"error": dict.fromkeys(("message", "code", "type"), CANARY)}).encode()),
        Reply(status=401, headers={"x-request-id": CANARY}, body=b"{}"),
        Reply(status=400, body=b64encode(CANARY.encode()) + f" Bearer {CANARY}".encode()),
        Reply(status=302, headers={"location": f"http://{CANARY.upper()}.invalid/"}),
        Reply(raw=f"HTTP/1.1 200 OK\r\nbad header {CANARY}\r\n\r\n".encode()),
        Reply(headers={"content-encoding": CANARY}, body=b"x"),
    ],
)
async def test_a_key_that_is_quoted_anywhere_in_a_failure_is_masked(asking: Asking, reply: Reply) -> None:
    with FaultServer([reply]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(retries={"attempts": 1}) as service:
            error = await failing(service, model)
    assert CANARY not in str(error).lower()
    assert b64encode(CANARY.encode()).decode().rstrip("=") not in str(error)


async def test_a_key_in_the_names_of_an_answer_is_masked(asking: Asking) -> None:
    body = {**json.loads(answer("x").body), "model": CANARY, "id": CANARY}
    with FaultServer([Reply(body=json.dumps(body).encode())]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            result = await ask(service, model)
    assert (result.model_used, result.request_id) == ("***", "***")


# A caller who wants more than the budget


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": 10**6},
        {"max_completion_tokens": 10**6},
        {"generationConfig": {"maxOutputTokens": 10**6}},
        {"options": {"num_predict": -1}},
        {"n": 100},
        {"models": ["dear"]},
        {"service_tier": "priority"},
        {"messages": []},
        {"tools": [{"type": "web_search"}]},
    ],
)
async def test_options_cannot_widen_a_budget(asking: Asking, options: dict[str, Any]) -> None:
    with FaultServer([ok("openai", stream=True)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(**PRICED) as service:
            with pytest.raises(InvalidInput, match="under a budget"):
                await ask(service, model, options=options)
            await ask(service, model, options={"made_up": 1})
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["api_key", "base_url", "api_base", "extra_headers"])
async def test_what_other_libraries_take_with_a_call_is_not_told_to_the_provider(asking: Asking, name: str) -> None:
    with FaultServer([ok("openai", stream=True)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            with pytest.raises(InvalidInput, match=name):
                await ask(service, model, options={name: "sk-of-somebody-else"})
    assert server.requests == []


async def test_results_of_tools_count_towards_the_cap_of_a_prompt(asking: Asking) -> None:
    huge = Message(role="user", parts=(ToolResult("1", "t", (Text("y" * 5_000_000),)),))
    with FaultServer([ok("openai", stream=True)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            with pytest.raises(TooLarge):
                await ask(service, model, messages=[huge])
    assert server.requests == []


# A hostile folder


@pytest.mark.parametrize(
    "routes",
    [
        '"private.*" = "acme:m"',
        '"private.*" = { model = "acme:m", local_only = false }',
        '"private.x" = "acme:m"',
        '"private.*x*" = "acme:m"',
        '"*rivate.x*" = "acme:m"',
    ],
)
async def test_a_folder_cannot_send_away_what_the_user_keeps_here(asking: Asking, routes: str) -> None:
    with FaultServer([ok("openai", stream=True)]) as server:
        asking.provider("acme", server.url, "local = false\n")
        (asking.home / "mcp_llm.toml").write_text('[contexts]\n"private.*" = { model = "demo", local_only = true }\n')
        (asking.home.parent / "work" / "mcp_llm.toml").write_text(f"[contexts]\n{routes}\n")
        async with asking.open() as service:
            with suppress(Denied):
                assert (await generate(service, Ask("hi", context="private.x"))).provider == "demo"
    assert server.requests == []


def test_a_folder_may_still_route_what_is_not_private(asking: Asking) -> None:
    (asking.home / "mcp_llm.toml").write_text('[contexts]\n"private.*" = { local_only = true }\n')
    (asking.home.parent / "work" / "mcp_llm.toml").write_text('[contexts]\n"*" = "acme:m"\n"notes.*" = "acme:m"\n')
    loaded = config.load(environment=asking.environment)
    assert {name: route.local_only for name, route in loaded.settings.contexts.items()} == {
        "private.*": True,
        "*": False,
        "notes.*": False,
    }


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("mcp_llm.toml", "x = " + "[\n" * 30_000),
        ("mcp_llm.toml", "x = " + "{a=" * 600),
        ("mcp_llm.toml", "a." * 20_000 + "b = 1"),
        (".env", 'OPENAI_API_KEY="' + "a\n" * 400_000),
    ],
)
def test_no_file_of_a_folder_stops_or_delays_the_start(asking: Asking, name: str, data: str) -> None:
    (asking.home.parent / "work" / name).write_text(data)
    started = time.monotonic()
    loaded = config.load(environment=asking.environment)
    assert time.monotonic() - started < 1.0
    assert len(loaded.problems) == 1


async def test_a_server_that_was_started_in_the_root_of_the_disk_may_not_read_it(asking: Asking) -> None:
    async with asking.open() as service:
        service.config.working_folder = type(asking.home)("/")
        with pytest.raises(Denied, match=r"files\.roots"):
            await ask(service, "demo", files=["/etc/hostname"])


def test_a_working_folder_that_is_gone_is_a_problem_and_no_end(asking: Asking, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert config.load(environment=asking.environment).problems == [
        "the working folder is gone: no file of it can be read"
    ]


# Careless Python


def script(asking: Asking, url: str, text: str) -> subprocess.Popen[str]:
    asking.provider("acme", url)
    environment = {**os.environ, **asking.environment, "MCP_LLM_DISCOVER": "0"}
    return subprocess.Popen([sys.executable, "-c", text], env=environment, stdout=-1, stderr=-1, text=True)


def test_an_interrupted_call_does_not_hold_up_the_end(asking: Asking) -> None:
    with FaultServer([Reply(hang="headers")]) as server:
        child = script(asking, server.url, "import mcp_llm; mcp_llm.generate('hi', model='acme:m')")
        server.wait_request(20)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=10)
    assert errors.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_asks_on_a_loop_of_its_own(asking: Asking) -> None:
    text = (
        "import os, mcp_llm\n"
        "print(mcp_llm.generate('hi', model='acme:m'), flush=True)\n"
        "pid = os.fork()\n"
        "print(mcp_llm.generate('hi', model='acme:m'), flush=True)\n"
        "pid and os.waitpid(pid, 0)\n"
    )
    with FaultServer([ok("openai", stream=True)]) as server:
        child = script(asking, server.url, text)
        out, errors = child.communicate(timeout=20)
    assert (out, errors) == ("Hello there\n" * 3, "")


@pytest.mark.parametrize(
    "words",
    [
        {"model": 5},
        {"temperature": "hot"},
        {"timeout_s": "5"},
        {"budget_usd": "much"},
        {"effort": "ultra"},
        {"thread": 5},
        {"system": 5},
        {"context": 5},
        {"tools": [5]},
    ],
)
async def test_a_value_of_the_wrong_kind_is_told_as_that(asking: Asking, words: dict[str, Any]) -> None:
    async with asking.open() as service:
        with pytest.raises(InvalidInput, match=next(iter(words))):
            await ask(service, **{"model": "demo", **words})


# A hostile client over stdio


@pytest.fixture
def lines(asking: Asking) -> Any:
    """A server, `send(bytes)` and `receive(id)`, which gives None when no such answer comes within half a minute."""
    environment = {**os.environ, **asking.environment, "MCP_LLM_DISCOVER": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "mcp_llm"], env=environment, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        inlet, outlet = child.stdin, child.stdout
        os.set_blocking(outlet.fileno(), False)
        kept = bytearray()

        def send(data: bytes) -> None:
            inlet.write(data + b"\n")
            inlet.flush()

        def receive(number: int) -> Any:
            end = time.monotonic() + 30
            while time.monotonic() < end:
                select.select([outlet], [], [], max(0.0, end - time.monotonic()))
                kept.extend(outlet.read() or b"")
                for line in bytes(kept).split(b"\n")[:-1]:
                    if (message := json.loads(line)).get("id") == number:
                        return message
            return None

        client = {"name": "test", "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        send(json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).encode())
        assert receive(0)
        send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        yield send, receive
        inlet.close()


def test_what_follows_an_endless_line_is_read(lines: Any) -> None:
    send, receive = lines
    send(b"A" * (40 * 1024 * 1024) + b'\n{"jsonrpc":"2.0","id":7,"method":"ping"}')
    assert receive(7) == {"jsonrpc": "2.0", "id": 7, "result": {}}


@pytest.mark.parametrize("prompt", [b'"x\\ud800y"', b"[" * 300 + b"]" * 300])
def test_a_request_that_cannot_be_read_whole_is_answered_all_the_same(lines: Any, prompt: bytes) -> None:
    send, receive = lines
    arguments = b'{"model":"demo","prompt":' + prompt + b"}"
    send(b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"generate","arguments":' + arguments + b"}}")
    assert receive(7) is not None


@pytest.mark.parametrize("tool", [b'{"description":"x"}', b'{"name":"t","parameters":[]}'])
def test_a_wrong_tool_definition_is_the_callers_mistake(lines: Any, tool: bytes) -> None:
    send, receive = lines
    arguments = b'{"model":"demo","prompt":"hi","tools":[' + tool + b"]}"
    send(b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"generate","arguments":' + arguments + b"}}")
    assert "itself failed" not in receive(7)["result"]["content"][0]["text"]
