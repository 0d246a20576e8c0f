"""The pages as MCP Apps through a real client: who is told of them, what they cost, what they read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, MCPError
from mcp.client.extension import ClientExtension

from mcp_llm.server.build import build, definitions
from mcp_llm.server.pages.apps import PAGES
from mcp_llm.server.pages.documents import document

if TYPE_CHECKING:
    from mcp_llm.config import Config

pytestmark = pytest.mark.anyio

HTML = "text/html;profile=mcp-app"


class Ui(ClientExtension):
    """What a host says that shows Apps."""

    identifier = "io.modelcontextprotocol/ui"

    def settings(self) -> dict[str, Any]:
        return {"mimeTypes": [HTML]}


class Other(Ui):
    """A host that shows some other kind of page."""

    def settings(self) -> dict[str, Any]:
        return {"mimeTypes": ["text/uri-list"]}


async def lists(client: Client) -> tuple[dict[str, Any], set[str], set[str]]:
    tools = {tool.name: tool.meta for tool in (await client.list_tools()).tools}
    resources = {str(one.uri) for one in (await client.list_resources()).resources}
    templates = {one.uri_template for one in (await client.list_resource_templates()).resource_templates}
    return tools, resources, templates


@pytest.mark.parametrize("extensions", [(), (Other(),)])
async def test_a_host_that_shows_no_apps_is_told_of_none(config: Config, mode: Any, extensions: Any) -> None:
    async with Client(build(config), mode=mode, extensions=extensions) as client:
        tools, resources, templates = await lists(client)
    assert set(tools.values()) == {None}
    assert not [uri for uri in (*resources, *templates) if uri.startswith(("ui://", "view://"))]


async def test_a_host_that_shows_apps_is_told_which_page_shows_which_tool(config: Config, mode: Any) -> None:
    async with Client(build(config), mode=mode, extensions=[Ui()]) as client:
        tools, resources, templates = await lists(client)
        pages = {uri: (await client.read_resource(uri)).contents[0] for uri in PAGES.values()}
    assert tools == {
        "generate": None,
        "compare_models": {"ui": {"resourceUri": "ui://mcp-llm/comparison.html"}},
        "run_agent": {"ui": {"resourceUri": "ui://mcp-llm/run.html"}},
        "runs": {"ui": {"resourceUri": "ui://mcp-llm/run.html"}},
        "list_models": None,
    }
    assert resources >= set(PAGES.values())
    assert templates >= {"view://run/{run_id}{?after,wait}", "view://runs{?kind,status}"}
    for name, uri in PAGES.items():
        page: Any = pages[uri]
        assert (page.mime_type, page.text) == (HTML, document(name, "app").html)


async def test_what_pages_add_is_no_part_of_what_models_read(config: Config, report: list[str]) -> None:
    """Hosts show a tool's name, description and schema to the model; `_meta` is theirs. It is counted all the same."""
    async with Client(build(config), extensions=[Ui()]) as client:
        listed = [
            tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in (await client.list_tools()).tools
        ]
    metas = [tool.pop("_meta", None) for tool in listed]
    assert listed == definitions(config)
    characters = len(json.dumps([meta for meta in metas if meta]))
    report.append(f"`_meta` of the tools for hosts that show pages: {characters} characters, for the host alone")
    assert characters < 300


async def test_no_list_is_kept_for_another_host(config: Config) -> None:
    async with Client(build(config), extensions=[Ui()]) as client:
        found: list[Any] = [
            await client.list_tools(),
            await client.list_resources(),
            await client.list_resource_templates(),
        ]
    assert {one.cache_scope for one in found} == {"private"}


async def test_a_page_reads_a_run_and_then_only_what_is_new(config: Config, mode: Any) -> None:
    async with Client(build(config), mode=mode, extensions=[Ui()]) as client:
        given = await client.call_tool("run_agent", {"prompt": "hello", "model": "demo", "servers": []})
        assert given.structured_content is not None
        run_id = given.structured_content["run_id"]
        first = await read(client, f"view://run/{run_id}")
        second = await read(client, f"view://run/{run_id}?after={first['after']}")
        runs = await read(client, "view://runs?kind=agent")
    assert (first["run"]["status"], first["run"]["prompt"]) == ("finished", "hello")
    assert [event["event"] for event in first["events"]] == ["start", "model_start", "model_end", "finish"]
    assert second.keys() == {"after", "now"}
    assert [one["id"] for one in runs["runs"]] == [run_id]


async def test_a_run_that_is_not_there_is_a_protocol_error_in_its_own_words(config: Config) -> None:
    async with Client(build(config), extensions=[Ui()]) as client:
        with pytest.raises(MCPError, match="there is no run 'nope'"):
            await client.read_resource("view://run/nope")


async def read(client: Client, uri: str) -> Any:
    content: Any = (await client.read_resource(uri)).contents[0]
    return json.loads(content.text)
