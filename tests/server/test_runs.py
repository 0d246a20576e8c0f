"""Calls that are never lost: through a real client in memory and over stdio, ended and taken up in every way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import jsonschema
import pytest
from mcp import Client
from mcp.types import Implementation

from mcp_llm.errors import Overloaded
from mcp_llm.hosts.known import host
from mcp_llm.server.tools.generate import OUTPUT
from mcp_llm.types.events import JobEvent

if TYPE_CHECKING:
    from pathlib import Path

from server.slowly import ASK, Slow, ready, runs, soon, text

pytestmark = pytest.mark.anyio


async def test_a_call_past_its_time_hands_back_a_run_that_is_collected_later(
    server: Any, opened: list[Any], slow: Slow, mode: Any
) -> None:
    with anyio.fail_after(60):
        async with Client(server, mode=mode) as client:
            await ready(client, opened, slow)
            first = await client.call_tool("generate", {**ASK, "wait_s": 0.2})
            data = first.structured_content
            assert data is not None
            jsonschema.validate(data, OUTPUT)
            assert (data["status"], data["partial"]) == ("running", "half an ")
            assert text(first).startswith("half an \n\n[still running")
            assert f'runs(action="wait", run_id="{data["run_id"]}")' in text(first)
            still = await runs(client, "wait", data["run_id"], wait_s=0)
            assert still.structured_content["status"] == "running"
            slow.go.set()
            done = await runs(client, "wait", data["run_id"])
            listed = await runs(client, "list")
            events = await opened[0].journals.events(data["run_id"])
    assert done.structured_content["response"] == "half an answer"
    assert done.structured_content["run_id"] == data["run_id"]
    assert text(done).startswith("half an answer\n\n[slow:x")
    assert (slow.asked, slow.cut) == (1, 0)
    assert [event.event for event in events] == ["start", "text", "text", "finish"]
    assert "".join(getattr(event, "text", "") for event in events) == "half an answer"
    rows = listed.structured_content["runs"]
    assert [(row["run_id"], row["status"], row["kind"]) for row in rows] == [(data["run_id"], "finished", "generate")]


async def test_a_call_in_time_writes_no_journal(server: Any, opened: list[Any], slow: Slow) -> None:
    slow.go.set()
    async with Client(server) as client:
        app = await ready(client, opened, slow)
        result = await client.call_tool("generate", ASK)
        assert result.structured_content is not None
        run_id = result.structured_content["run_id"]
        assert await app.journals.events(run_id) == []
        read = await runs(client, "read", run_id)
    assert read.structured_content == {"run_id": run_id, "status": "finished", "response": "half an answer"}


async def test_a_client_that_cancels_before_the_run_is_handed_back_ends_the_call(
    server: Any, opened: list[Any], slow: Slow, mode: Any
) -> None:
    with anyio.fail_after(60):
        async with Client(server, mode=mode) as client:
            app = await ready(client, opened, slow)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "generate", ASK)
                await slow.said.wait()
                tasks.cancel_scope.cancel()
            listed = await soon(lambda: app.journals.list("local"))
            assert slow.cut == 1
    assert [(info.status, info.result["partial"]) for info in listed] == [("cancelled", "half an ")]


async def test_a_client_that_goes_after_the_run_was_handed_back_leaves_it_running(
    server: Any, opened: list[Any], slow: Slow
) -> None:
    with anyio.fail_after(60):
        async with Client(server) as client:
            app = await ready(client, opened, slow)
            first = await client.call_tool("generate", {**ASK, "wait_s": 0.1})
            assert first.structured_content is not None
            run_id = first.structured_content["run_id"]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(runs, client, "wait", run_id)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            slow.go.set()
            await soon(lambda: app.journals.list("local", "finished"))
    assert slow.cut == 0


async def test_who_cancels_an_order_of_a_vendors_hears_what_is_left_of_it(server: Any, opened: list[Any]) -> None:
    with anyio.fail_after(60):
        async with Client(server) as client:
            await runs(client, "list")
            journal = await opened[0].journals.create(
                "batch", {"model": "gate:m", "ids": ["a"]}, "local", model="gate:m"
            )
            await journal.append(JobEvent(state="submitting", provider="gate", model="m"))
            busy = await client.call_tool("runs", {"action": "cancel", "run_id": journal.run_id})
            await journal.release()
            gone = await runs(client, "cancel", journal.run_id)
    assert (busy.is_error, "cancel it again in a while" in text(busy)) == (True, True)
    words = gone.structured_content["response"]
    assert gone.structured_content == {"run_id": journal.run_id, "status": "cancelled", "response": words}
    assert words.startswith(f"run {journal.run_id} is cancelled: the run was cut off while its batch was submitted")


async def test_a_detached_run_is_cancelled_by_name_and_keeps_what_had_arrived(
    server: Any, opened: list[Any], slow: Slow
) -> None:
    with anyio.fail_after(60):
        async with Client(server) as client:
            await ready(client, opened, slow)
            first = await client.call_tool("generate", {**ASK, "wait_s": 0.1})
            assert first.structured_content is not None
            run_id = first.structured_content["run_id"]
            gone = await runs(client, "cancel", run_id)
            read = await runs(client, "read", run_id, offset=5)
            events = await opened[0].journals.events(run_id)
    assert slow.cut == 1
    assert gone.structured_content == {
        "run_id": run_id,
        "status": "cancelled",
        "error": "cancelled by the user",
        "partial": "half an ",
    }
    assert read.structured_content["response"] == "an "
    assert [event.event for event in events][-1] == "error"


async def test_an_error_after_the_run_was_handed_back_is_kept(server: Any, opened: list[Any], slow: Slow) -> None:
    slow.error = Overloaded("too busy", provider="slow")
    with anyio.fail_after(60):
        async with Client(server) as client:
            await ready(client, opened, slow)
            first = await client.call_tool("generate", {**ASK, "wait_s": 0.1})
            slow.go.set()
            assert first.structured_content is not None
            failed = await runs(client, "wait", first.structured_content["run_id"])
    data = failed.structured_content
    assert (data["status"], data["error"], data["partial"]) == ("failed", "slow:x: too busy", "half an ")


async def test_the_end_of_the_server_leaves_an_interrupted_run_that_is_asked_again_only_when_told_to(
    config: Any, opened: list[Any], slow: Slow
) -> None:
    from mcp_llm.server.build import build

    with anyio.fail_after(60):
        async with Client(build(config, opened)) as client:
            await ready(client, opened, slow)
            first = await client.call_tool("generate", {**ASK, "wait_s": 0.1})
            assert first.structured_content is not None
            run_id = first.structured_content["run_id"]
        slow.go.set()
        async with Client(build(config, opened)) as client:
            await ready(client, opened, slow)
            found = await runs(client, "wait", run_id)
            refused = await client.call_tool("runs", {"action": "resume", "run_id": run_id})
            asked = slow.asked
            done = await runs(client, "resume", run_id, again=True)
            twice = await client.call_tool("runs", {"action": "resume", "run_id": run_id, "again": True})
            events = await opened[0].journals.events(run_id)
    assert (found.structured_content["status"], found.structured_content["partial"]) == ("interrupted", "half an ")
    assert refused.is_error
    assert "may have been paid" in text(refused)
    assert (asked, slow.asked) == (1, 2)
    assert done.structured_content["response"] == "half an answer"
    assert twice.is_error
    assert "is finished" in text(twice)
    assert [event.event for event in events if event.event != "text"] == ["start", "resumed", "finish"]


async def test_a_run_that_asks_is_shown_and_answered(server: Any, opened: list[Any], slow: Slow) -> None:
    from mcp_llm.types.events import Approval

    async with Client(server) as client:
        app = await ready(client, opened, slow)
        journal = await app.journals.create("agent", {"prompt": "tidy up"}, "local")
        await journal.ask(Approval(tool="fs__delete", call_id="c", state="asked"), "c", {"tool": "fs__delete"})
        asked = await runs(client, "wait", journal.run_id)
        answer = {"action": "answer", "run_id": journal.run_id, "answer": True}
        other = await client.call_tool("runs", {**answer, "question": "d"})
        empty = await client.call_tool("runs", {**answer, "answer": ""})
        await runs(client, "answer", journal.run_id, answer=True)
        again = await client.call_tool("runs", {"action": "answer", "run_id": journal.run_id, "answer": True})
        found = await app.journals.questions(journal.run_id)
    assert asked.structured_content["questions"] == [{"id": "c", "tool": "fs__delete"}]
    assert "fs__delete" in text(asked)
    assert [one.answer for one in found] == [True]
    assert again.is_error
    assert "does not ask this now: name one of c with `question`" in text(other)
    assert "`answer` is missing" in text(empty)


async def test_a_long_text_is_read_by_its_handle(server: Any, opened: list[Any], slow: Slow) -> None:
    whole = "".join(f"line {number}\n" for number in range(12_000))
    async with Client(server) as client:
        app = await ready(client, opened, slow)
        journal = await app.journals.create("agent", {}, "local")
        handle = await app.journals.keep_text(journal.run_id, "c", whole)
        read, offset = "", 0
        while True:
            page = (await runs(client, "read", handle, offset=offset)).structured_content
            read += page["response"]
            if "next_offset" not in page:
                break
            offset = page["next_offset"]
    assert read == whole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"action": "wait"}, "`wait` needs `run_id`"),
        ({"action": "read", "run_id": "nope"}, "there is no run 'nope'"),
        ({"action": "read", "run_id": "nope.c"}, "there is no run 'nope.c'"),
        ({"action": "resume", "run_id": "nope"}, "there is no run"),
        ({"action": "cancel", "run_id": "nope"}, "there is no run"),
        ({"action": "answer", "run_id": "nope", "answer": True}, "there is no run"),
        ({"action": "answer", "run_id": "nope"}, "`answer` is missing"),
        ({"action": "answer", "run_id": "nope", "answer": " \n"}, "`answer` is missing"),
        ({"action": "list", "status": "odd"}, "`status` is 'odd'; it is one of running"),
        ({"action": "dance"}, "`action`"),
    ],
)
async def test_a_mistake_is_told_with_its_fix(server: Any, arguments: dict[str, Any], said: str) -> None:
    async with Client(server) as client:
        result = await client.call_tool("runs", arguments)
    assert result.is_error
    assert said in text(result)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("claude-code", 110),
        ("claude-ai", 50),
        ("Visual Studio Code", 240),
        ("Visual Studio Code - Insiders", 240),
        ("cursor-vscode", 50),
        ("mcp", 240),
        ("somebody's own", 50),
        (None, 50),
    ],
)
def test_a_host_is_known_by_its_name(name: str | None, seconds: float) -> None:
    assert host(name).soft_deadline == seconds
    assert 10_000 <= host(name).result_chars <= 100_000


async def test_the_deadline_is_the_callers_else_the_settings_else_the_hosts(
    home: Path, opened: list[Any], slow: Slow, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    from mcp_llm import config as configuration
    from mcp_llm.server.build import build

    monkeypatch.setenv("MCP_LLM_SOFT_DEADLINE", "0.1")
    config = configuration.load(overrides={"discover": False})
    info = Implementation(name="claude-code", version="1")
    with anyio.fail_after(60):
        async with Client(build(config, opened), mode=mode, client_info=info) as client:
            await ready(client, opened, slow)
            first = await client.call_tool("generate", ASK)
            assert first.structured_content is not None
            assert first.structured_content["status"] == "running"
            slow.go.set()
            done = await client.call_tool("generate", {**ASK, "wait_s": 15})
    assert done.structured_content is not None
    assert done.structured_content["response"] == "half an answer"
