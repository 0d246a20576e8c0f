"""What is public, and what each way in loads before anybody asked for anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

import mcp_llm
from mcp_llm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PUBLIC: Final = [
    "Batch",
    "BatchRequest",
    "Compared",
    "Error",
    "Generated",
    "Media",
    "Message",
    "ProtocolProvider",
    "Text",
    "ToolSpec",
    "WorkflowResult",
    "acompare_models",
    "acount_tokens",
    "aembed",
    "agenerate",
    "agenerate_image",
    "agenerate_result",
    "agenerate_video",
    "aspeak",
    "atranscribe",
    "compare_models",
    "count_tokens",
    "diff_runs",
    "embed",
    "generate",
    "generate_image",
    "generate_result",
    "generate_video",
    "get_provider",
    "realtime",
    "record_run",
    "register_provider",
    "replay_run",
    "rerun_agent",
    "run_agent",
    "run_workflow",
    "speak",
    "stream",
    "transcribe",
]
HEAVY: Final = {
    "anyio",
    "asyncio",
    "click",
    "httpcore2",
    "httpx2",
    "mcp",
    "opentelemetry",
    "pydantic",
    "sqlite3",
    "ssl",
}
LATER: Final = {"genai_prices", "httpcore2", "jsonschema", "keyring", "mcp_llm.http.transport", "sqlite3", "yaml"}
"""What serving must not load before the first call that needs it."""
WORK: Final = {
    "mcp_llm.agent.operation",
    "mcp_llm.agent.task",
    "mcp_llm.batch.operation",
    "mcp_llm.batch.orders",
    "mcp_llm.compare.operation",
    "mcp_llm.files.load",
    "mcp_llm.llm.conversation",
    "mcp_llm.llm.doing",
    "mcp_llm.llm.generate",
    "mcp_llm.llm.listing",
    "mcp_llm.video",
    "mcp_llm.workflow.operation",
}
"""What does the work of the tools: a list of them needs none of it, and each call only its own."""

TELL: Final = "import sys; sys.stderr.write('\\n' + ' '.join(sys.modules) + '\\n')"


def modules(home: Path, code: str, said: Sequence[dict[str, Any]] = ()) -> tuple[set[str], str]:
    """(the modules a fresh interpreter has loaded after this code, its stdout); it is given one line at a time."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "SYSTEMROOT", "TMPDIR"}}
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}\n{TELL}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**kept, "MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0"},
        cwd=home,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    answers = []
    for line in said:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **line}) + "\n")
        process.stdin.flush()
        if "id" in line:
            answers.append(process.stdout.readline())
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return set(err.splitlines()[-1].split()), "".join([*answers, out])


def session(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    """What a client says that shakes hands, lists the tools and makes these calls of `generate`."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    return [
        {"id": 0, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 1, "method": "tools/list"},
        *(
            {"id": number, "method": "tools/call", "params": {"name": "generate", "arguments": arguments}}
            for number, arguments in enumerate(calls, 2)
        ),
    ]


def test_the_public_names_are_these_and_all_of_them_load() -> None:
    assert mcp_llm.__all__ == PUBLIC
    assert set(dir(mcp_llm)) == {*PUBLIC, "__version__"}
    assert {name for name in PUBLIC if getattr(mcp_llm, name).__module__.partition(".")[0] != "mcp_llm"} == set()
    assert mcp_llm.Error is Error


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'mcp_llm' has no attribute 'nonsense'"):
        mcp_llm.nonsense  # noqa: B018 - looking is what fails


def test_importing_the_package_loads_nothing_heavy(home: Path) -> None:
    loaded, _ = modules(home, "import mcp_llm; mcp_llm.__version__")
    ours = {name for name in loaded if name.startswith("mcp_llm.")}
    assert (loaded & HEAVY, ours) == (set(), set())


def test_asking_from_python_loads_no_tracing_and_no_mcp(home: Path) -> None:
    loaded, said = modules(home, "import mcp_llm; print(mcp_llm.generate('hi', model='demo'))")
    assert "demo" in said
    assert loaded & {"opentelemetry", "mcp"} == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_help_loads_click_and_nothing_else_heavy(home: Path, arguments: list[str]) -> None:
    run = (
        f"import sys; sys.argv = ['mcp-llm', *{arguments}]\n"
        "from mcp_llm.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code"
    )
    loaded, said = modules(home, run)
    assert "mcp-llm" in said
    assert loaded & HEAVY == {"click"}


SERVE: Final = "import sys; sys.argv = ['mcp-llm']\nfrom mcp_llm.cli import main\nmain()"
OPENED: Final = {"mcp_llm.app", "mcp_llm.store.sqlite", "mcp_llm.catalog.load"}
UNTIL_CALLED: Final = "from mcp_llm.server import lifespan; lifespan.SOON = 3600.0"
"""What is opened soon without a call is not opened before this process ends, however busy the machine is."""


def test_serving_loads_nothing_that_only_calls_need(home: Path) -> None:
    loaded, said = modules(home, f"{UNTIL_CALLED}\n{SERVE}", session())
    assert len(json.loads(said.splitlines()[1])["result"]["tools"]) >= 2
    assert loaded & (LATER | WORK | OPENED | {"mcp_llm.types.events", "mcp_llm.runs.ending"}) == set()
    assert {"mcp", "pydantic"} <= loaded


def test_what_calls_need_is_opened_by_the_first_and_is_not_yet_asked_for_anything(home: Path) -> None:
    loaded, said = modules(home, f"{UNTIL_CALLED}\n{SERVE}", [*session(), {"id": 2, "method": "prompts/list"}])
    assert json.loads(said.splitlines()[2])["result"]["prompts"]
    assert loaded >= OPENED
    assert loaded & (LATER | WORK | {"mcp_llm.catalog.schema"}) == set()


def test_a_call_loads_what_it_needs_and_no_more(home: Path) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"age": {"type": "integer"}},
        "required": ["age"],
    }
    plain, _ = modules(home, SERVE, session({"prompt": "hi", "model": "demo"}))
    shaped, said = modules(home, SERVE, session({"prompt": "hi", "model": "demo", "json_schema": schema}))
    assert json.loads(said.splitlines()[2])["result"]["structuredContent"]["parsed"] == {"age": 1}
    assert plain & LATER == {"sqlite3"}
    assert plain & WORK == {"mcp_llm.files.load", "mcp_llm.llm.conversation", "mcp_llm.llm.generate"}
    assert shaped & LATER == {"sqlite3"}  # that it fits is seen without a library
    schema["properties"]["age"]["multipleOf"] = 1
    checked, _ = modules(home, SERVE, session({"prompt": "hi", "model": "demo", "json_schema": schema}))
    assert checked & LATER == {"sqlite3", "jsonschema"}
