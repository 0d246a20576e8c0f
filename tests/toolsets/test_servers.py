"""Servers that other people wrote, as a person would configure them: their tools through our toolsets."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from toolsets import reference

from mcp_llm.toolsets.check import arguments
from mcp_llm.toolsets.connect import open_servers
from mcp_llm.types.message import Media

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.settings import Server

pytestmark = pytest.mark.anyio


@pytest.fixture
def servers(tmp_path: Path) -> dict[str, Server]:
    return reference.five(tmp_path)


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


async def test_the_same_server_answers_over_http() -> None:
    with reference.everything_over_http() as server:
        servers = {"everything": server}
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
