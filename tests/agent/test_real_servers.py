"""An agent over MCP servers that other people wrote, in processes of their own, over stdio and HTTP.

The model is scripted, but no blind one: each step is made of what the tools really answered to the step before.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.scripted import MODEL, Scripted, call, do, names, opened, orderly, results
from toolsets import reference

from mcp_llm.agent.task import Task
from mcp_llm.errors import Overloaded
from mcp_llm.types.events import dump
from mcp_llm.types.message import Media

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mcp_llm.settings import Server
    from mcp_llm.types.chat import ChatRequest
    from mcp_llm.types.message import ToolCall

pytestmark = pytest.mark.anyio


def configured(servers: dict[str, Server]) -> dict[str, Any]:
    """As they would stand in the settings."""
    return {"servers": {name: one.model_dump(exclude_defaults=True) for name, one in servers.items()}}


async def stored(app: Any, run_id: str) -> list[dict[str, Any]]:
    """The run's events as its journal has them."""
    return [dump(event) for event in await app.journals.events(run_id)]


class Clerk:
    """Reads a file, notes when it is noon elsewhere, signs it, commits it; asks for what it may not, and goes on."""

    def __init__(self, tmp_path: Path) -> None:
        self.hello = str(tmp_path / "files" / "hello.txt")
        self.repository = str(tmp_path / "repository")
        self.signed = str(tmp_path / "repository" / "signed.txt")
        self.said: list[dict[str, tuple[str, bool]]] = []

    def reply(self, request: ChatRequest) -> Any:
        """The next step, or the answer."""
        step = sum(message.role == "assistant" for message in request.messages)
        last = {found: (text, error) for found, text, error in results(request)}
        self.said.append(last)
        if step == 7:
            commit = last["log"][0].partition("Commit: ")[2].split()[0]
            return f"signed and committed as {commit}"
        return list(self.ask(step, last))

    def ask(self, step: int, last: dict[str, tuple[str, bool]]) -> Iterable[ToolCall]:
        if step == 0:
            yield call("files__read_text_file", {"path": "/etc/hostname"}, "outside")
            yield call(
                "time__convert_time", {"source_timezone": "UTC", "time": "noon", "target_timezone": "Asia/Tokyo"}
            )
            yield call("git__git_status", {"repo_path": self.repository}, "status")
        elif step == 1:
            yield call("files__read_text_file", {"path": self.hello}, "read")
            noon = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
            yield call("time__convert_time", noon, "noon")
        elif step == 2:
            words = last["read"][0].splitlines()[0]
            at = json.loads(last["noon"][0])["target"]["datetime"]
            seen = {"name": "hello.txt", "entityType": "file", "observations": [f"{words} at {at}"]}
            yield call("memory__create_entities", {"entities": [seen]}, "remember")
            yield call("everything__get-sum", {"a": len(words), "b": 1}, "sum")
        elif step == 3:
            found = json.loads(last["remember"][0].partition('\n{"entities"')[0])
            text = found[0]["observations"][0]
            yield call("files__write_file", {"path": self.signed, "content": f"{text}, {last['sum'][0]}\n"}, "write")
        elif step == 4:
            yield call("git__git_add", {"repo_path": self.repository, "files": ["signed.txt"]}, "add")
        elif step == 5:
            yield call("git__git_commit", {"repo_path": self.repository, "message": "Signed"}, "commit")
        else:
            yield call("git__git_log", {"repo_path": self.repository}, "log")


async def test_an_agent_reaches_its_goal_over_five_servers(home: Path, tmp_path: Path) -> None:
    clerk = Clerk(tmp_path)
    model = Scripted(clerk.reply)
    events: list[dict[str, Any]] = []
    asked: list[str] = []

    async def yes(question: dict[str, Any]) -> bool:
        asked.append(question["tool"])
        return True

    async with opened(home, {"scripted": model}, **configured(reference.five(tmp_path))) as app:
        result = await do(app, "sign the file", on_event=events.append, approver=yes)
        kept = await stored(app, result.run_id)
    shown = await anyio.run_process(["git", "-C", clerk.repository, "log", "--format=%H %s", "--", "signed.txt"])
    commit, _, subject = shown.stdout.decode().strip().partition(" ")
    assert (result.response, subject) == (f"signed and committed as {commit}", "Signed")
    assert (tmp_path / "repository" / "signed.txt").read_text().startswith("hello there at 2")
    assert "hello there at 2" in (tmp_path / "memory.jsonl").read_text()
    assert asked == ["files__write_file"]
    mistakes = {found for said in clerk.said for found, (_, error) in said.items() if error}
    assert mistakes == {"outside", "c_time__convert_time"}
    assert events == kept
    orderly(kept)
    assert [names(kept).count(name) for name in ("model_start", "tool_start", "tool_end", "approval")] == [8, 11, 11, 1]
    assert (result.turns, result.calls, result.stop_reason) == (8, 11, "stop")


async def test_an_agent_works_over_http_with_many_calls_at_once_and_images(home: Path, tmp_path: Path) -> None:
    def read(request: ChatRequest) -> Any:
        total = sum(int(text.rstrip(".").rpartition(" ")[2]) for _, text, _ in results(request)[:8])
        pictures = [part for one in request.messages[-1].parts for part in getattr(one, "parts", ())]
        found.append((total, sum(isinstance(part, Media) for part in pictures)))
        return call("everything__trigger-long-running-operation", {"duration": 0.3, "steps": 3})

    found: list[tuple[int, int]] = []
    told: list[str] = []
    sums = [call("everything__get-sum", {"a": number, "b": 1}, f"s{number}") for number in range(8)]
    model = Scripted([*sums, call("everything__get-tiny-image")], read, "done")
    with reference.everything_over_http() as server:
        async with opened(home, {"scripted": model}, **configured({"everything": server})) as app:
            result = await do(app, "add", tell=told.append)
            kept = await stored(app, result.run_id)
    orderly(kept)
    assert (result.response, result.calls, found) == ("done", 10, [(36, 1)])
    assert not [event for event in kept if event.get("is_error")]
    assert told


async def test_a_server_that_goes_away_in_the_middle_costs_its_calls_and_not_the_run(
    home: Path, tmp_path: Path
) -> None:
    stack = ExitStack()

    def gone(request: ChatRequest) -> Any:
        stack.close()
        return call("everything__echo", {"message": "are you there?"}, "two")

    model = Scripted(call("everything__echo", {"message": "hi"}, "one"), gone, "it has gone")
    with stack:
        server = stack.enter_context(reference.everything_over_http())
        async with opened(home, {"scripted": model}, **configured({"everything": server})) as app:
            result = await do(app, "echo")
            kept = await stored(app, result.run_id)
    orderly(kept)
    assert result.response == "it has gone"
    assert [(event["call_id"], event["is_error"]) for event in kept if event["event"] == "tool_end"] == [
        ("one", False),
        ("two", True),
    ]


@pytest.mark.parametrize("how", ["error", "cancel"])
async def test_what_ends_badly_ends_once_and_leaves_no_server(home: Path, tmp_path: Path, how: str) -> None:
    servers = reference.five(tmp_path)
    begun = anyio.Event()

    def fail(request: ChatRequest) -> Any:
        if how == "error":
            return Overloaded("too many", provider="scripted")
        begun.set()
        return call("everything__trigger-long-running-operation", {"duration": 300, "steps": 2})

    model = Scripted(call("time__get_current_time", {"timezone": "UTC"}), fail)
    async with opened(home, {"scripted": model}, **configured(servers)) as app:
        if how == "error":
            with pytest.raises(Overloaded):
                await do(app, Task(prompt="x", model=MODEL), run_id="a" * 32)
        else:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: do(app, Task(prompt="x", model=MODEL), run_id="a" * 32))
                await begun.wait()
                tasks.cancel_scope.cancel()
        kept = await stored(app, "a" * 32)
    orderly(kept)
    assert kept[-1]["event"] == "error"
    left = await anyio.run_process(["pgrep", "-f", str(tmp_path)], check=False)
    assert left.stdout == b""
