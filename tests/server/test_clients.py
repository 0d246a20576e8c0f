"""What every host does, done by the official clients: list, call, cancel, read, prompt, complete.

Over stdio and HTTP and in both eras of the protocol. The TypeScript SDKs and their Node are no part of our environment:
`.ci/inspector` installs them and names their folder in `MCP_LLM_INSPECTOR`. The Python SDK's client is here anyway.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from faults.server import FaultServer, Reply
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import ResourceTemplateReference

from .test_inspector import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

ANSWER = "This is mcp-llm's built-in demo, not a language model. It was given 2 words: "
COMMAND = (sys.executable, "-m", "mcp_llm")


@pytest.fixture
def silent(home: Path) -> Iterator[FaultServer]:
    """A provider `silent` that takes requests and never answers; it knows when its callers hang up."""
    with FaultServer([Reply(hang="headers")]) as server:
        (home / "providers").mkdir()
        (home / "providers" / "silent.toml").write_text(f'base_url = "{server.url}/v1"\n[auth]\nrequired = false\n')
        yield server


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0"}


@pytest.fixture
def url(home: Path, silent: FaultServer) -> Iterator[str]:
    with listening(home) as found:
        yield found


def expected(read: str, prompt: str) -> dict[str, Any]:
    tools = ["generate", "compare_models", "run_agent", "runs", "list_models"]
    assert ("abc" in prompt, read) == (True, f"{ANSWER}hello there")
    return {"tools": tools, "response": read, "after": f"{ANSWER}still there", "cancelled": "cancelled"}


@pytest.fixture(scope="session")
def folder() -> Path:
    """Holds `node` and `node_modules`."""
    named = os.environ.get("MCP_LLM_INSPECTOR")
    if not named:
        pytest.skip("MCP_LLM_INSPECTOR names no folder with the SDKs; `.ci/inspector` makes one and runs these")
    return Path(named)


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize(("sdk", "era"), [("1", "legacy"), ("2", "legacy"), ("2", "modern")])
def test_the_typescript_clients_do_what_hosts_do(
    folder: Path,
    sdk: str,
    era: str,
    transport: str,
    environment: dict[str, str],
    silent: FaultServer,
    request: pytest.FixtureRequest,
) -> None:
    where = ["--", *COMMAND] if transport == "stdio" else [request.getfixturevalue("url")]
    script = Path(__file__).with_name("clients.mjs")
    child = subprocess.Popen(
        [folder / "node", script, folder, sdk, era, *where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=environment["HOME"],
    )
    with child:
        silent.wait_request(timeout=60)
        assert child.stdin is not None
        child.stdin.write("cancel\n")
        child.stdin.flush()
        silent.wait_closed(timeout=20)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    told = json.loads(out)
    assert {name: told[name] for name in ("tools", "response", "after", "cancelled")} == expected(
        told["read"], told["prompt"]
    )
    assert told["text"].startswith(f"{told['response']}\n\n[demo:demo")
    assert "demo:demo" in told["completed"]
    assert "summarize" in told["prompts"]


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_python_client_does_what_hosts_do(
    mode: Any,
    transport: str,
    environment: dict[str, str],
    silent: FaultServer,
    home: Path,
    request: pytest.FixtureRequest,
) -> None:
    target: Any = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:]], env=environment, cwd=home)
    if transport == "http":
        target = request.getfixturevalue("url")
    with anyio.fail_after(60):
        async with Client(target, mode=mode) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            answer = await client.call_tool("generate", {"prompt": "hello there", "model": "demo"})
            assert answer.structured_content is not None
            kept: Any = await client.read_resource(f"runs://{answer.structured_content['run_id']}")
            prompt: Any = await client.get_prompt("summarize", {"text": "abc"})
            ref = ResourceTemplateReference(uri="models://{name}")
            completed = await client.complete(ref, {"name": "name", "value": "demo"})
            cancelled = "answered"
            async with anyio.create_task_group() as tasks:

                async def ask() -> None:
                    nonlocal cancelled
                    try:
                        await client.call_tool("generate", {"prompt": "hi", "model": "silent:x"})
                    except anyio.get_cancelled_exc_class():
                        cancelled = "cancelled"
                        raise
                    except MCPError as error:
                        cancelled = str(error)

                tasks.start_soon(ask)
                await anyio.to_thread.run_sync(silent.wait_request, 30.0)
                tasks.cancel_scope.cancel()
            await anyio.to_thread.run_sync(silent.wait_closed, 20.0)
            again = await client.call_tool("generate", {"prompt": "still there", "model": "demo"})
    assert again.structured_content is not None
    assert {
        "tools": tools,
        "response": answer.structured_content["response"],
        "after": again.structured_content["response"],
        "cancelled": cancelled,
    } == expected(kept.contents[0].text, prompt.messages[0].content.text)
    assert "demo:demo" in completed.completion.values
