"""Prompt files as MCP prompts, in both eras: listed, filled, completed, and read anew when they change."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, MCPError
from mcp.types import PromptReference, ResourceTemplateReference, TextContent
from server.principals import acting_as

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.config import Config

pytestmark = pytest.mark.anyio

TRANSLATE = """+++
title = "Translate"
description = "Into another language"

[[arguments]]
name = "text"
required = true

[[arguments]]
name = "language"
+++
Into {{language|English}}: {{text}}
"""


@pytest.fixture
def folder(config: Config) -> Path:
    place = config.folder / "prompts"
    place.mkdir(parents=True)
    return place


async def get(client: Client, name: str, arguments: dict[str, str] | None = None) -> str:
    (message,) = (await client.get_prompt(name, arguments)).messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    return message.content.text


async def test_files_of_both_folders_are_prompts_with_their_arguments(server: Any, folder: Path, mode: Any) -> None:
    (folder / "translate.md").write_text(TRANSLATE)
    async with Client(server, mode=mode) as client:
        prompts = (await client.list_prompts()).prompts
        said = await get(client, "translate", {"text": "hola"})
    assert [one.name for one in prompts] == ["agent", "compare", "reviewer", "summarize", "translate"]
    last = prompts[-1]
    assert (last.title, last.description) == ("Translate", "Into another language")
    assert [(one.name, one.required) for one in last.arguments or ()] == [("text", True), ("language", False)]
    assert said == "Into English: hola"


async def test_an_agent_is_a_prompt_that_takes_a_task(server: Any, mode: Any) -> None:
    async with Client(server, mode=mode) as client:
        prompts = {one.name: one for one in (await client.list_prompts()).prompts}
        alone = await get(client, "reviewer")
        given = await get(client, "reviewer", {"task": "Review {{this}}."})
    assert [(one.name, one.required) for one in prompts["reviewer"].arguments or ()] == [("task", False)]
    assert given == f"{alone}\n\nReview {{{{this}}}}."


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("summarise", {}, "did you mean 'summarize'"),
        ("../../etc/passwd", {}, "there is no prompt"),
        ("summarize", {}, "needs text"),
        ("summarize", {"text": "x", "lenght": "3"}, "has no argument lenght"),
        ("reviewer", {"job": "x"}, "has no argument job"),
    ],
)
async def test_mistakes_are_the_callers_and_named(
    server: Any, mode: Any, name: str, arguments: dict[str, str], words: str
) -> None:
    async with Client(server, mode=mode) as client:
        with pytest.raises(MCPError) as told:
            await client.get_prompt(name, arguments)
    assert told.value.error.code == -32602
    assert words in str(told.value)


async def test_a_file_is_read_when_it_comes_and_a_broken_one_costs_only_itself(
    server: Any, folder: Path, mode: Any
) -> None:
    async with Client(server, mode=mode) as client:
        await client.list_prompts()
        (folder / "translate.md").write_text(TRANSLATE)
        (folder / "broken.md").write_text("+++\ntitle = \n+++\n")
        (folder / "nowhere.md").symlink_to(folder / "gone")
        (folder / "folder.md").mkdir()
        if hasattr(os, "mkfifo"):
            os.mkfifo(folder / "pipe.md")
        names = [one.name for one in (await client.list_prompts(cache_mode="refresh")).prompts]
        (folder / "translate.md").write_text(TRANSLATE.replace("English", "Latin"))
        said = await get(client, "translate", {"text": "hola"})
    assert names == ["agent", "compare", "reviewer", "summarize", "translate"]
    assert said == "Into Latin: hola"


async def values(client: Client, ref: Any, name: str, begun: str = "") -> list[str]:
    return list((await client.complete(ref, {"name": name, "value": begun})).completion.values)


async def test_arguments_are_completed_where_their_values_are_known(server: Any, mode: Any) -> None:
    prompt = PromptReference(type="ref/prompt", name="summarize")
    async with Client(server, mode=mode) as client:
        assert (await values(client, prompt, "model"))[0] == "demo:demo"
        assert await values(client, prompt, "agent", "rev") == ["reviewer"]
        assert await values(client, prompt, "tier", "l") == ["lite", "balanced"]
        assert await values(client, prompt, "language") == []
        template = ResourceTemplateReference(type="ref/resource", uri="usage://{?by,since}")
        assert await values(client, template, "by", "h") == ["hour"]
        agents = ResourceTemplateReference(type="ref/resource", uri="agents://{name}")
        assert await values(client, agents, "name") == ["agent", "reviewer"]


async def test_runs_are_completed_for_whoever_made_them_and_never_more_than_a_hundred(server: Any, mode: Any) -> None:
    runs = ResourceTemplateReference(type="ref/resource", uri="runs://{id}{?offset}")
    with acting_as("ann"):
        async with Client(server, mode=mode) as client:
            for _ in range(3):
                await client.call_tool("generate", {"prompt": "hi", "model": "demo"})
            mine = await values(client, runs, "id")
            begun = await values(client, runs, "id", mine[0][:12])
    with acting_as("bob"):
        async with Client(server, mode=mode) as client:
            assert await values(client, runs, "id") == []
    assert (len(mine), begun) == (3, mine[:1])


def test_a_completion_is_bounded_and_puts_what_begins_so_first() -> None:
    from mcp_llm.server.completing import matching

    many = matching([f"m{number}" for number in range(250)], "M")
    assert (len(many.values), many.total, many.has_more) == (100, 250, True)
    assert matching(["gpt-4", "my-gpt", "gpt-4"], "gpt").values == ["gpt-4", "my-gpt"]
