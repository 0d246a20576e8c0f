"""Whole visits as hosts make them, to a server that is a process of its own, over stdio and over HTTP.

As a terminal host does since 2026-07-28: discover, listen, then work. As an editor does with the handshake: initialize,
and answer forms and sampling while its calls are open.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.subscriptions import PromptsListChanged, ResourcesListChanged
from mcp.types import (
    CreateMessageResult,
    ElicitResult,
    Implementation,
    PromptReference,
    ResourceUpdatedNotification,
    TextContent,
)
from server.test_changes import Told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")]

FIGURES = Path(__file__).parents[1] / "agent" / "server.py"
PROMPT = '+++\ntitle = "Mine"\n\n[[arguments]]\nname = "model"\n+++\nSay it with {{model|any}}.\n'


@pytest.fixture(params=["stdio", "http"])
def place(request: pytest.FixtureRequest, home: Path) -> Any:
    """Gives what a Client takes, in an `async with`; the home has a server of figures for agents."""
    (home / "notes").write_text("dear\n")
    table = f"[servers.figures]\ncommand = {json.dumps(sys.executable)}\n"
    arguments = json.dumps([str(FIGURES), str(home / "notes")])
    (home / "mcp_llm.toml").write_text(f"discover = false\n{table}args = {arguments}\n")
    environment = {**os.environ, "MCP_LLM_HOME": str(home)}

    @asynccontextmanager
    async def start() -> AsyncIterator[Any]:
        if request.param == "stdio":
            yield StdioServerParameters(command=sys.executable, args=["-m", "mcp_llm"], env=environment)
            return
        command = [sys.executable, "-m", "mcp_llm", "serve", "--http", "--port", "0"]
        quiet: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        child = subprocess.Popen(command, env=environment, text=True, **quiet)  # noqa: ASYNC220 - it forks, no more
        try:
            yield await anyio.to_thread.run_sync(_url, child)
        finally:
            child.terminate()
            child.communicate(timeout=20)

    return start


def _url(child: subprocess.Popen[str]) -> str:
    assert child.stderr is not None
    for line in child.stderr:
        if "serving MCP on" in line:
            return line.rstrip().rpartition(" ")[2]
    raise AssertionError("it did not start")


async def test_a_visit_of_a_terminal_host_of_2026_07_28(place: Any, home: Path) -> None:
    async def approve(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"approve": True})

    info = Implementation(name="claude-code", version="2.1.329")
    with anyio.fail_after(120):
        async with place() as target, Client(target, client_info=info, elicitation_callback=approve) as host:
            assert host.protocol_version == "2026-07-28"
            listening = host.listen(tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True)
            async with listening as heard:
                assert len((await host.list_tools()).tools) <= 6
                names = [one.name for one in (await host.list_prompts()).prompts]
                (home / "prompts").mkdir()
                (home / "prompts" / "mine.md").write_text(PROMPT)
                seen = {type(await anext(heard)) for _ in range(2)}
            after = [one.name for one in (await host.list_prompts(cache_mode="refresh")).prompts]
            said = await host.get_prompt("mine", {"model": "demo"})
            reference = PromptReference(type="ref/prompt", name="mine")
            completed = await host.complete(reference, {"name": "model", "value": "dem"})
            given = await host.call_tool(
                "run_agent", {"prompt": "figures__wipe please", "model": "demo", "servers": ["figures"]}
            )
            assert given.structured_content is not None, given
            read: Any = await host.read_resource(f"runs://{given.structured_content['run_id']}/events")
    assert seen == {PromptsListChanged, ResourcesListChanged}
    assert set(after) - set(names) == {"mine"}
    assert said.messages[0].content == TextContent(type="text", text="Say it with demo.")
    assert completed.completion.values == ["demo:demo"]
    assert "figures__wipe said: wiped" in given.structured_content["response"]
    assert (home / "notes").read_text() == ""
    kinds = [json.loads(line)["event"] for line in read.contents[0].text.splitlines()]
    assert (kinds[0], kinds.count("tool_end"), kinds[-1]) == ("start", 1, "finish")


async def test_a_visit_of_an_editor_with_the_handshake(place: Any, home: Path) -> None:
    asked: list[str] = []

    async def decline(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="decline")

    async def sample(context: Any, params: Any) -> CreateMessageResult:
        text = TextContent(type="text", text=f"the host heard: {params.messages[-1].content.text}")
        return CreateMessageResult(role="assistant", content=text, model="host-model")

    told = Told()
    callbacks: dict[str, Any] = {"elicitation_callback": decline, "sampling_callback": sample, "message_handler": told}
    info = Implementation(name="Visual Studio Code", version="1.140.0")
    with anyio.fail_after(120):
        async with place() as target, Client(target, mode="legacy", client_info=info, **callbacks) as host:
            assert host.protocol_version == "2025-11-25"
            await host.subscribe_resource("runs://")
            plain = await host.call_tool("generate", {"prompt": "hello"})
            await told.until(ResourceUpdatedNotification, "runs://")
            agent = await host.call_tool(
                "run_agent", {"prompt": "figures__wipe please", "model": "demo", "servers": ["figures"]}
            )
            runs: Any = await host.read_resource("runs://")
    assert plain.structured_content is not None
    assert plain.structured_content["response"] == "the host heard: hello"
    assert (plain.structured_content["model_used"], plain.structured_content["cost"]["usd"]) == ("host-model", None)
    assert agent.structured_content is not None
    assert "the user said no" in agent.structured_content["response"]
    assert (len(asked), (home / "notes").read_text()) == (1, "dear\n")
    assert len(json.loads(runs.contents[0].text)["runs"]) == 2
