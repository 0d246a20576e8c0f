"""Servers that other people wrote, as a person would configure them: both protocol eras, Node and Python.

They are no part of our environment: `.ci/servers` installs them and names their folder in `MCP_LLM_SERVERS`.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_llm.settings import Server
from mcp_llm.toolsets.check import arguments
from mcp_llm.toolsets.connect import open_servers
from mcp_llm.types.message import Media

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def folder() -> Path:
    """Holds `node`, `node_modules` and one environment per Python server."""
    named = os.environ.get("MCP_LLM_SERVERS")
    if not named:
        pytest.skip(
            "MCP_LLM_SERVERS names no folder with the reference servers; `.ci/servers` makes one and runs these"
        )
    return Path(named)


@pytest.fixture
def node(folder: Path) -> Callable[..., Server]:
    def start(name: str, *args: str, **fields: Any) -> Server:
        script = folder / "node_modules" / ".bin" / f"mcp-server-{name}"
        return Server(command=str(folder / "node"), args=(str(script), *args), **fields)

    return start


@pytest.fixture
def servers(folder: Path, node: Callable[..., Server], tmp_path: Path) -> dict[str, Server]:
    """All five, each on a folder of the test's."""
    files, repository = tmp_path / "files", tmp_path / "repository"
    files.mkdir()
    (files / "hello.txt").write_text("hello there\n", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(repository)], check=True)
    (repository / "a.txt").write_text("a\n", encoding="utf-8")
    return {
        "everything": node("everything", "stdio"),
        "files": node("filesystem", str(files)),
        "memory": node("memory", env={"MEMORY_FILE_PATH": str(tmp_path / "memory.jsonl")}),
        "time": Server(command=str(folder / "time/bin/mcp-server-time"), args=("--local-timezone", "UTC")),
        "git": Server(command=str(folder / "git/bin/mcp-server-git"), args=("--repository", str(repository))),
    }


async def test_five_servers_open_side_by_side_and_work(servers: dict[str, Server], tmp_path: Path) -> None:
    started = time.monotonic()
    async with open_servers(servers, servers, os.environ.get) as group:
        assert group.errors == {}
        assert time.monotonic() - started < 10
        tools = {tool.name: tool for tool in await group.list()}
        assert len(tools) > 30
        assert {name.partition("__")[0] for name in tools} == set(servers)
        assert group.notes == {}

        async def ask(name: str, **given: Any) -> str:
            checked = await arguments(json.dumps(given), tools[name])
            result = await group.call(name, checked, call_id=name)
            assert not result.is_error, result.text
            return result.text

        assert "Echo: hi" in await ask("everything__echo", message="hi")
        read = await ask("files__read_text_file", path=str(tmp_path / "files" / "hello.txt"))
        assert read.startswith("hello there\n")
        entity = {"name": "Ada", "entityType": "person", "observations": ["likes engines"]}
        await ask("memory__create_entities", entities=[entity])
        assert "likes engines" in await ask("memory__search_nodes", query="Ada")
        assert "Asia/Tokyo" in await ask("time__get_current_time", timezone="Asia/Tokyo")
        assert "a.txt" in await ask("git__git_status", repo_path=str(tmp_path / "repository"))
        outside = await group.call("files__read_text_file", {"path": "/etc/hostname"})
        assert outside.is_error
    assert time.monotonic() - started < 30


async def test_hints_and_policy_come_from_the_server_and_the_settings(servers: dict[str, Server]) -> None:
    chosen = {
        "files": servers["files"].model_copy(
            update={
                "allow": ("read_*", "write_file", "list_*"),
                "deny": ("read_media*",),
                "approve": {"list_*": "deny"},
            }
        )
    }
    async with open_servers(chosen, chosen, os.environ.get) as group:
        tools = {tool.name: tool for tool in await group.list()}
        refused = await group.call("files__move_file", {"source": "a", "destination": "b"})
    assert {"files__read_text_file", "files__write_file", "files__list_directory"} <= set(tools)
    assert not any("media" in name or "move" in name for name in tools)
    assert [tools[f"files__{name}"].policy for name in ("read_text_file", "write_file", "list_directory")] == [
        *("allow", "ask", "deny")
    ]
    assert refused.is_error


async def test_images_resources_progress_and_structured_content_arrive(servers: dict[str, Server]) -> None:
    lines: list[str] = []
    async with open_servers(["everything"], servers, os.environ.get) as group:
        tools = {tool.name for tool in await group.list()}
        image = await group.call("everything__get-tiny-image", {})
        structured = await group.call("everything__get-structured-content", {"location": "New York"})
        linked = await group.call("everything__get-resource-links", {"count": 2})
        await group.call(
            "everything__trigger-long-running-operation", {"duration": 0.4, "steps": 4}, progress=lines.append
        )
    assert {"everything__get-tiny-image", "everything__get-resource-links"} <= tools
    [picture] = [part for part in image.parts if isinstance(part, Media)]
    assert (picture.mime, base64.b64decode(picture.data or "")[:4]) == ("image/png", b"\x89PNG")
    assert set(json.loads(structured.text)) == {"temperature", "conditions", "humidity"}
    assert linked.text.count("[resource ") == 2
    assert lines


async def test_the_same_server_answers_over_http(folder: Path, web_everything: str) -> None:
    servers = {"everything": Server(url=web_everything)}
    async with open_servers(servers, servers, os.environ.get) as group:
        assert group.errors == {}
        assert len(await group.list()) > 5
        results = []
        async with anyio.create_task_group() as tasks:

            async def ask(number: int) -> None:
                results.append((await group.call("everything__echo", {"message": str(number)})).text)

            for number in range(20):
                tasks.start_soon(ask, number)
    assert sorted(results) == sorted(f"Echo: {number}" for number in range(20))


@pytest.fixture
def web_everything(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = folder / "node_modules/.bin/mcp-server-everything"
    process = subprocess.Popen(
        [folder / "node", script, "streamableHttp"],
        env={"PORT": str(port), "PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            break
        except OSError:
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/mcp"
    process.kill()
    process.wait()
