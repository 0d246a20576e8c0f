"""What the specification demands and the official suite does not look at: raw lines to and from us."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import jsonschema
import pytest
from faults.server import FaultServer, Reply
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION
from server.test_inspector import listening

from mcp_llm import config as configuration
from mcp_llm.server.build import definitions
from mcp_llm.server.icons import ICONS
from mcp_llm.settings import Server
from mcp_llm.toolsets.connect import open_servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = "io.modelcontextprotocol/"
META: dict[str, Any] = {
    f"{PREFIX}protocolVersion": LATEST_MODERN_VERSION,
    f"{PREFIX}clientCapabilities": {},
    f"{PREFIX}clientInfo": {"name": "test", "version": "1"},
}
URI = re.compile(r"[a-z][a-z0-9+.-]*:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
KEY = re.compile(
    r"((?P<prefix>[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?)*)/)?"
    r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?"
)


class Lines:
    """A server process, spoken to line by line."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self._popen = popen
        self._number = 0

    def send(self, **message: Any) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self._popen.stdin.flush()

    def next(self) -> dict[str, Any]:
        assert self._popen.stdout is not None
        message: dict[str, Any] = json.loads(self._popen.stdout.readline())
        return message

    def ask(self, method: str, params: dict[str, Any] | None = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """(the answer, what came before it)."""
        self._number += 1
        number = f"ask-{self._number}"
        self.send(id=number, method=method, params=params or {})
        before = []
        while (message := self.next()).get("id") != number:
            before.append(message)
        return message, before


@contextmanager
def started(home: Path) -> Iterator[Lines]:
    environment = {"PATH": os.environ["PATH"], "MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0"}
    command = [sys.executable, "-m", "mcp_llm"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **pipes, text=True, env=environment, cwd=home) as popen:
        yield Lines(popen)
        assert popen.stdin is not None
        popen.stdin.close()


def hello(version: str) -> dict[str, Any]:
    return {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@pytest.fixture
def silent(home: Path) -> Iterator[FaultServer]:
    """A provider `silent` that never answers."""
    with FaultServer([Reply(hang="headers")]) as server:
        (home / "providers").mkdir()
        (home / "providers" / "silent.toml").write_text(f'base_url = "{server.url}/v1"\n[auth]\nrequired = false\n')
        yield server


@pytest.fixture
def handshake(home: Path, silent: FaultServer) -> Iterator[Lines]:
    with started(home) as lines:
        lines.ask("initialize", hello(LATEST_HANDSHAKE_VERSION))
        lines.send(method="notifications/initialized")
        yield lines


@pytest.fixture
def stateless(home: Path) -> Iterator[Lines]:
    with started(home) as lines:
        lines.ask("server/discover", {"_meta": META})
        yield lines


def generate(model: str, **meta: Any) -> dict[str, Any]:
    return {"name": "generate", "arguments": {"prompt": "hi", "model": model}, "_meta": meta}


def test_a_notification_is_never_answered(handshake: Lines) -> None:
    handshake.send(method="notifications/nonsense")
    handshake.send(method="notifications/cancelled", params={"requestId": {"no": "id"}})
    handshake.send(method="tools/list")  # a request's method without an id is a notification too
    answer, before = handshake.ask("ping")
    assert (answer["result"], before) == ({}, [])


def test_cancelling_what_is_over_or_unknown_does_no_harm(handshake: Lines) -> None:
    over, _ = handshake.ask("tools/call", generate("demo"))
    for number in (over["id"], 999, "never"):
        handshake.send(method="notifications/cancelled", params={"requestId": number})
    answer, before = handshake.ask("tools/call", generate("demo"))
    assert (answer["result"]["isError"], before) == (False, [])


def test_nothing_is_said_of_a_request_after_it_was_cancelled(handshake: Lines, silent: FaultServer) -> None:
    handshake.send(id=41, method="tools/call", params=generate("silent:x", progressToken="t-41"))
    silent.wait_request(timeout=30)
    handshake.send(method="notifications/cancelled", params={"requestId": 41})
    silent.wait_closed(timeout=20)
    handshake.ask("ping")
    _, after = handshake.ask("tools/call", generate("silent-too:x"))
    assert [one for one in after if one.get("id") == 41 or "t-41" in json.dumps(one)] == []


def test_progress_is_for_who_asked_and_ends_with_the_answer(handshake: Lines, silent: FaultServer) -> None:
    handshake.send(id=1, method="tools/call", params=generate("silent:x"))
    handshake.send(id=2, method="tools/call", params=generate("silent:x", progressToken="wanted"))
    told = [handshake.next() for _ in range(2)]
    handshake.send(method="notifications/cancelled", params={"requestId": 1})
    handshake.send(method="notifications/cancelled", params={"requestId": 2})
    assert [(one["method"], one["params"]["progressToken"]) for one in told] == [
        ("notifications/progress", "wanted"),
        ("notifications/progress", "wanted"),
    ]
    assert told[0]["params"]["progress"] < told[1]["params"]["progress"]


@pytest.mark.parametrize(
    ("offered", "taken"),
    [*((version, version) for version in HANDSHAKE_PROTOCOL_VERSIONS), ("1999-01-01", LATEST_HANDSHAKE_VERSION)],
)
def test_the_handshake_takes_the_offered_version_or_offers_its_newest(home: Path, offered: str, taken: str) -> None:
    with started(home) as lines:
        answer, _ = lines.ask("initialize", hello(offered))
    assert answer["result"]["protocolVersion"] == taken


def test_every_result_of_the_stateless_era_says_its_kind(stateless: Lines) -> None:
    asked: dict[str, dict[str, Any]] = {
        "server/discover": {},
        "tools/list": {},
        "prompts/list": {},
        "prompts/get": {"name": "summarize", "arguments": {"text": "abc"}},
        "resources/list": {},
        "resources/templates/list": {},
        "tools/call": {"name": "list_models", "arguments": {}},
        "completion/complete": {
            "ref": {"type": "ref/resource", "uri": "models://{+name}"},
            "argument": {"name": "name", "value": "demo"},
        },
    }
    kinds = {}
    for method, params in asked.items():
        answer, _ = stateless.ask(method, {**params, "_meta": META})
        kinds[method] = answer["result"]["resultType"]
    assert kinds == dict.fromkeys(asked, "complete")


@pytest.mark.parametrize("lacking", [f"{PREFIX}protocolVersion", f"{PREFIX}clientCapabilities", "all"])
def test_a_request_without_its_meta_is_refused_over_stdio_too(stateless: Lines, lacking: str) -> None:
    meta = {name: value for name, value in META.items() if name != lacking}
    answer, _ = stateless.ask("tools/list", {} if lacking == "all" else {"_meta": meta})
    assert answer["error"]["code"] == -32602


def test_an_unknown_version_is_refused_with_the_list_of_known_ones(stateless: Lines) -> None:
    answer, _ = stateless.ask("tools/list", {"_meta": {**META, f"{PREFIX}protocolVersion": "2199-01-01"}})
    assert LATEST_MODERN_VERSION in answer["error"]["data"]["supported"]


def test_what_is_one_callers_own_is_cached_by_nobody_else(stateless: Lines) -> None:
    made, _ = stateless.ask("tools/call", {**generate("demo"), "_meta": META})
    run = made["result"]["structuredContent"]["run_id"]
    scopes = {}
    for method, params in {"resources/list": {}, "resources/read": {"uri": f"runs://{run}"}, "tools/list": {}}.items():
        answer, _ = stateless.ask(method, {**params, "_meta": META})
        assert answer["result"]["ttlMs"] >= 0
        scopes[method] = answer["result"]["cacheScope"]
    # Over HTTP a token may hold its owner to some of the tools.
    assert scopes == {"resources/list": "private", "resources/read": "private", "tools/list": "private"}


def test_names_in_meta_and_of_extensions_have_the_form(stateless: Lines) -> None:
    found, _ = stateless.ask("server/discover", {"_meta": META})
    listed, _ = stateless.ask("tools/list", {"_meta": META})
    called, _ = stateless.ask("tools/call", {**generate("demo"), "_meta": META})
    names = [*found["result"]["_meta"], *called["result"].get("_meta", {})]
    names += [name for tool in listed["result"]["tools"] for name in tool.get("_meta", {})]
    extensions = [*found["result"]["capabilities"].get("extensions", {})]
    assert [name for name in names if not KEY.fullmatch(name)] == []
    assert [name for name in extensions if not ((match := KEY.fullmatch(name)) and match["prefix"])] == []


def test_icons_are_data_or_https_and_uris_to_the_letter() -> None:
    assert [
        icon.src for icon in ICONS if not (URI.fullmatch(icon.src) and icon.src.startswith(("data:", "https:")))
    ] == []


def test_every_schema_is_valid_in_the_dialect_that_it_claims(home: Path) -> None:
    packs = ["core", "media", "ops", "workflow"]
    listed = definitions(configuration.load(overrides={"discover": False, "packs": packs}))
    schemas = [tool[field] for tool in listed for field in ("inputSchema", "outputSchema")]
    for schema in schemas:
        assert schema.get("$schema", "https://json-schema.org/draft/2020-12/schema").endswith("/2020-12/schema")
        jsonschema.Draft202012Validator.check_schema(schema)


def test_an_accepted_notification_is_202_and_nothing(home: Path) -> None:
    headers = {"accept": "application/json, text/event-stream"}
    with listening(home) as url, httpx2.Client(trust_env=False, headers=headers, timeout=20) as client:
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello(LATEST_HANDSHAKE_VERSION)}
        opened = client.post(url, json=message)
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        told = client.post(url, json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session)
    assert (opened.status_code, told.status_code, told.content) == (200, 202, b"")


OLDER = """
import json, sys
seen, code = open(sys.argv[1], "w"), int(sys.argv[2])
for line in sys.stdin:
    seen.write(line); seen.flush()
    message = json.loads(line)
    results = {
        "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                       "serverInfo": {"name": "older", "version": "1"}},
        "tools/list": {"tools": [{"name": "look", "inputSchema": {"type": "object"}}]},
        "tools/call": {"content": [{"type": "text", "text": "a\\nb"}]},
    }
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] in results:
        answer["result"] = results[message["method"]]
    else:
        answer["error"] = {"code": code, "message": "what is that?"}
    print(json.dumps(answer), flush=True)
"""


async def spoken(tmp_path: Path, code: int) -> tuple[str, list[dict[str, Any]]]:
    """(what the tool said, every line that the older server was sent)."""
    seen = tmp_path / "seen"
    server = Server(command=sys.executable, args=("-c", OLDER, str(seen), str(code)))
    with anyio.fail_after(60):
        async with open_servers(["s"], {"s": server}, lambda name: os.environ.get(name)) as group:
            assert group.errors == {}
            result: Any = await group.call("s__look", {"words": "one\ntwo\u2028three"})
    return result.parts[0].text, [json.loads(line) for line in seen.read_bytes().splitlines()]


@pytest.mark.anyio
@pytest.mark.parametrize("code", [-32601, -32600, -32602, -32000, 1])
async def test_an_older_server_is_met_whatever_it_says_to_the_newer_opening(tmp_path: Path, code: int) -> None:
    said, sent = await spoken(tmp_path, code)
    assert (said, sent[0]["method"], sent[1]["method"]) == ("a\nb", "server/discover", "initialize")


@pytest.mark.anyio
async def test_a_child_reads_nothing_but_messages(tmp_path: Path) -> None:
    _, sent = await spoken(tmp_path, -32601)
    assert all(message["jsonrpc"] == "2.0" and "method" in message for message in sent)
    assert sent[-1]["params"]["arguments"] == {"words": "one\ntwo\u2028three"}
