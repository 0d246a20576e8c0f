"""Threats that no line of the corpus is: what the package may not do at all, and what a stranger may not make it do."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import traceback
import tracemalloc
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Any

import pytest
from abuse.calling import calling
from canary import KEY, holds
from faults.asking import Asking, ask
from faults.replies import sse
from faults.server import FaultServer, Reply
from server.test_stdio import Process, Silent, silent
from test_architecture import NAMES, TREES

from mcp_llm.errors import Error, ToolFailed
from mcp_llm.redactor import Redactor
from mcp_llm.settings import Server
from mcp_llm.toolsets.connect import open_servers
from mcp_llm.toolsets.loopback import shell

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["silent"]

pytestmark = pytest.mark.anyio

UNSAFE = {"pickle", "cPickle", "dill", "marshal", "shelve", "jsonpickle", "cloudpickle"}
RUNS_TEXT = {"eval", "exec", "compile", "__import__"}


def test_t33_nothing_here_runs_text_or_reads_objects_from_bytes() -> None:
    """`workflow/inside.py` is what is run within a boundary, in a process of its own that knows nothing."""
    found = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
                found += [f"{NAMES[path]}: {name}" for name in names if name.split(".")[0] in UNSAFE]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RUNS_TEXT:
                found += [f"{NAMES[path]}: {node.func.id}"] if NAMES[path] != "workflow/inside.py" else []
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = ast.unparse(node.func)
                if called in {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen"}:
                    found.append(f"{NAMES[path]}: {called}")
                found += [f"{NAMES[path]}: a shell" for word in node.keywords if word.arg == "shell"]
    assert found == []


def test_t32_nothing_that_a_plain_install_brings_runs_at_every_start_of_python() -> None:
    todo, seen, files = ["mcp-llm"], set[str](), []
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # for another platform
            continue
        todo += [
            re.split(r"[^A-Za-z0-9._-]", need)[0]
            for need in found.requires or ()
            if "extra ==" not in need and "extra==" not in need
        ]
        if name != "mcp-llm":  # in a checkout it is installed by such a file itself
            files += [f"{name}: {file}" for file in found.files or () if str(file).endswith(".pth")]
    assert len(seen) > 10
    assert files == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", "http://evil.example/", "-e=x", "", "x"])
async def test_t21_no_address_of_a_stranger_is_opened_but_a_page(url: str) -> None:
    opened: list[str] = []

    def browse(address: str) -> bool:
        opened.append(address)
        return True

    async with shell(None, opened.append, browse) as person:
        with pytest.raises(ToolFailed, match="no https URL"):
            await person.show(url)
    assert opened == []


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def stream(*deltas: Any, **more: Any) -> Reply:
    events: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], **more} for delta in deltas
    ]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return Reply(headers={"content-type": "text/event-stream"}, body=sse(events), framing="chunked")


async def test_t35_numbers_and_ids_of_a_provider_are_data_and_cost_nothing(home: Path) -> None:
    odd = "../../../tmp/x\x1b[2J\n"
    calls = [
        {"index": index, "id": f"{odd}{index}", "type": "function", "function": {"name": "t", "arguments": "{}"}}
        for index in (10**9, -(10**9), 2**63, 10**30)
    ]
    script = stream(*({"tool_calls": [one]} for one in calls), id=odd, model=odd)
    before = names(home)
    async with calling(home, [script]) as caller:
        tracemalloc.start()
        try:
            arguments = {"prompt": "hi", "tools": [{"name": "t", "parameters": {"type": "object"}}]}
            result = await caller.call("generate", arguments)
            grown = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert grown < 16 * 1024 * 1024
    assert [one["id"] for one in result.structured_content["tool_calls"]] == [f"{odd}{one['index']}" for one in calls]
    assert not any("x" in name for name in names(home) - before)


async def test_t12_a_traceback_with_its_locals_shows_no_key(home: Path) -> None:
    """As crash reporters write it: the values of all names in all frames of ours."""
    asking = Asking(home)
    for reply in (
        Reply(status=401, body=json.dumps({"error": {"message": f"bad key {KEY}"}}).encode()),
        Reply(status=500, body=b"x"),
        Reply(body=b"no json"),
        Reply(reset="headers"),
    ):
        with FaultServer([reply]) as server:
            model = asking.provider("acme", server.url)
            async with asking.open(retries={"attempts": 1}) as service:
                with pytest.raises(Error) as caught:
                    await ask(service, model)
        for frame in traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack:
            if "mcp_llm" in frame.filename:
                shown = {name: value for name, value in (frame.locals or {}).items() if holds(value.encode())}
                assert shown == {}, (frame.filename, frame.name)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_t12_a_crash_leaves_no_key_on_stderr_nor_in_the_environment_of_what_we_start(
    tmp_path: Path, silent: Silent
) -> None:
    process = Process(tmp_path, PYTHONFAULTHANDLER="1", SILENT_API_KEY=KEY, MCP_LLM_DEBUG="1")
    process.call(1, "generate", prompt="hi", model="silent:x")
    assert silent.opened.acquire(timeout=20)
    process.popen.send_signal(signal.SIGABRT)
    code, out, err = process.end()
    assert (code, b"Fatal Python error" in err) == (-signal.SIGABRT, True)
    assert not holds(out + err)


def test_t12_an_unforeseen_error_is_shown_without_keys_even_to_whoever_debugs(home: Path) -> None:
    code = (
        "import sys\nfrom mcp_llm.cli import commands, terminal\n"
        f"def fail(*_): raise RuntimeError({KEY!r})\n"
        "terminal.line = fail\nsys.argv = ['mcp-llm', 'config', 'path']\ncommands.commands()"
    )
    for debug in ("", "1"):
        environment = {**os.environ, "ACME_API_KEY": KEY, "MCP_LLM_DEBUG": debug}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=60)
        assert (done.returncode, b"RuntimeError: ***" in done.stderr) == (1, True), done.stderr
        assert (b"Traceback" in done.stderr) == bool(debug)
        assert not holds(done.stdout + done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
async def test_t12_the_last_words_of_a_server_that_died_hold_no_secret_that_it_was_given() -> None:
    server = Server(command="sh", args=("-c", 'echo "cannot use $TOKEN" >&2; exit 3'), env={"TOKEN": "${SOME_TOKEN}"})
    known = {"PATH": os.environ["PATH"], "SOME_TOKEN": KEY}
    redactor = Redactor()
    async with open_servers(["s"], {"s": server}, known.get, redactor=redactor) as group:
        told = group.errors["s"]
    assert "cannot use ***" in told
    assert not holds(told.encode())
    assert redactor(f"and everywhere else: {KEY}") == "and everywhere else: ***"
