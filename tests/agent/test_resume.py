"""A run outlives its process: killed at any moment and gone on with, nothing is lost and nothing is done twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.scripted import MODEL, Scripted, call, do, opened, results, write_agent

from mcp_llm.agent.resuming import Agents
from mcp_llm.agent.task import BOUND, Task
from mcp_llm.errors import InvalidInput
from mcp_llm.runs.resume import Resumers, drive
from mcp_llm.runs.store import RunStore
from mcp_llm.toolsets.functions import Functions
from mcp_llm.types.events import LAST, ModelEnd, ModelStart, ToolEnd, ToolStart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_llm.types.events import Event

WINDOW = {False: (0.02, 0.4), True: (0.1, 0.6)}
"""Seconds after which it is killed; one that goes on with a run has to wait for the lease of the one before."""
KILLS = int(os.environ.get("MCP_LLM_KILLS", "20"))


class Nursery:
    """The process that forks those that are killed."""

    def __init__(self) -> None:
        here = Path(__file__).parent
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here.parents[1])])}
        self._process = subprocess.Popen(
            [sys.executable, str(here / "killed.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=environment,
        )

    def drive(self, home: Path, run_id: str, *, resume: bool, kill_after: float | None) -> int:
        """Let a child drive the run, killed after so many seconds; its exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"home": str(home), "run_id": run_id, "resume": resume}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        if kill_after is not None:
            time.sleep(kill_after)
            with suppress(ProcessLookupError):  # it was done first
                os.kill(pid, signal.SIGKILL)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery()
    yield found
    found.close()


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def judge(events: list[Event]) -> None:
    """A journal in which no completed step was done again."""
    assert [event.seq for event in events] == list(range(len(events)))
    assert [isinstance(event, LAST) for event in events].count(True) == 1
    assert isinstance(events[-1], LAST)
    replies: set[int] = set()
    ended: set[tuple[int, str]] = set()
    for event in events:
        if isinstance(event, ModelStart):
            assert event.step not in replies
        elif isinstance(event, ModelEnd):
            assert event.step not in replies
            replies.add(event.step)
        elif isinstance(event, ToolStart):
            assert (max(replies), event.call_id) not in ended
        elif isinstance(event, ToolEnd):
            assert (max(replies), event.call_id) not in ended
            ended.add((max(replies), event.call_id))


@pytest.mark.anyio
async def test_killed_at_any_moment_nothing_is_lost_and_nothing_done_twice(
    home: Path, tmp_path: Path, nursery: Nursery, report: list[str]
) -> None:
    luck = random.Random(7)
    kills = finished = unsure = acknowledged = effects = number = 0
    while kills < KILLS:
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        write_agent(folder, "boss", 'delegates = ["worker"]')
        write_agent(folder, "worker", f'model = "{MODEL}"', "Worker is what you are.")
        run_id, resume, status = f"{number:032x}", False, "none"
        number += 1
        for kill in (*[True] * 6, False):
            after = luck.uniform(*WINDOW[resume]) if kill else None
            code = nursery.drive(folder, run_id, resume=resume, kill_after=after)
            assert code in {0, signal.SIGKILL}
            kills += code == signal.SIGKILL
            async with opened(folder, {}) as app:
                known = await app.journals.list("local")
                resume = bool(known)
                status = next((one.status for one in known if one.id == run_id), status)
            if status == "finished":
                break
        async with opened(folder, {}) as app:
            info = await app.journals.get(run_id, "local")
            assert (info.status, info.result["response"]) == ("finished", "done")
            found = {one.id: await app.journals.events(one.id) for one in await app.journals.list("local")}
        for events in found.values():
            judge(events)
        told = {f"{event.run_id} {event.seq}" for events in found.values() for event in events}
        acked = lines(folder / "acked")
        assert set(acked) <= told
        notes = Counter(lines(folder / "notes"))
        assert {name for name, count in notes.items() if count > 1} == set()
        missing = {f"{who}{step}" for who in ("boss", "worker") for step in range(4)} - notes.keys()
        texts = " ".join(
            str(event.result) for events in found.values() for event in events if isinstance(event, ToolEnd)
        )
        unsure += texts.count("may have been made")
        assert len(missing) <= texts.count("may have been made")
        assert len(found) == 2
        finished, acknowledged, effects = finished + 1, acknowledged + len(acked), effects + len(notes)
    report.append(
        f"kill -9 x {kills} of {finished} agents with a delegate each: every run finished; {acknowledged} acknowledged "
        f"events, 0 lost; 0 completed steps repeated; {effects} side effects, none twice, {unsure} left unsure"
    )


@pytest.mark.anyio
async def test_a_call_of_unknown_effect_is_told_and_not_repeated(home: Path) -> None:
    made: list[str] = []
    begun = anyio.Event()

    async def stamp() -> str:
        made.append("once")
        begun.set()
        await anyio.sleep_forever()
        return "stamped"

    model = Scripted(call("stamp"), "I cannot know")
    async with opened(home, {"scripted": model}) as app:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: do(app, "go", toolsets=[Functions([stamp])], run_id="a" * 32, keep=lambda: True))
            await begun.wait()
            tasks.cancel_scope.cancel()
        assert (await app.journals.get("a" * 32, "local")).status == "interrupted"
        resumers = Resumers()
        resumers.register(BOUND, Agents(app, app.journals, toolsets=[Functions([stamp])]))
        journal, resumer = await resumers.claim(app.journals, "a" * 32, "local")
        await drive(resumer, journal)
        info = await app.journals.get("a" * 32, "local")
    assert (made, info.status, info.result["response"]) == (["once"], "finished", "I cannot know")
    assert "may have been made" in results(model.requests[1])[0][1]
    assert any("was not called again" in words for words in info.result["warnings"])


@pytest.mark.anyio
async def test_a_run_that_takes_longer_than_its_lease_is_not_ended_by_it(home: Path) -> None:
    async def wait() -> str:
        await anyio.sleep(0.5)
        return "done"

    async with opened(home, {"scripted": Scripted(call("wait"), "well")}) as app:
        app.journals = RunStore(app.runs.store, ttl_s=0.2)
        assert (await do(app, "go", toolsets=[Functions([wait])])).response == "well"


@pytest.mark.anyio
async def test_a_finished_run_is_gone_on_with_after_a_restart_and_on_another_model(home: Path) -> None:
    def work() -> str:
        return "seven"

    first = Scripted(call("work"), "it is seven")
    async with opened(home, {"scripted": first}) as app:
        before = await do(app, "what is it?", toolsets=[Functions([work])])
    second = Scripted("as I said, seven")
    events: list[dict[str, Any]] = []
    async with opened(home, {"other": second}) as app:
        task = Task(prompt="again?", model="other:x", continue_from=before.run_id)
        after = await do(app, task, on_event=events.append)
        third = await do(app, Task(prompt="and?", model="other:x", continue_from=after.run_id))
    assert after.response == third.response == "as I said, seven"
    assert events[0]["continued"] == before.run_id
    said = [(message.role, message.text) for message in second.requests[0].messages]
    assert said == [
        ("user", "what is it?"),
        ("assistant", ""),
        ("user", ""),
        ("assistant", "it is seven"),
        ("user", "again?"),
    ]
    assert second.requests[0].messages[2].parts[0] == first.requests[1].messages[2].parts[0]
    assert [message.text for message in second.requests[1].messages][-3:] == ["again?", "as I said, seven", "and?"]


@pytest.mark.anyio
async def test_only_the_owner_of_a_run_can_go_on_with_it_and_only_once_it_has_ended(home: Path) -> None:
    async with opened(home, {"scripted": Scripted("done")}) as app:
        result = await do(app, Task(prompt="x", model=MODEL, principal="a"))
        with pytest.raises(InvalidInput, match="there is no run"):
            await do(app, Task(prompt="x", model=MODEL, principal="b", continue_from=result.run_id))
        journal = await app.journals.create("agent", {}, "a")
        with pytest.raises(InvalidInput, match="is running"):
            await do(app, Task(prompt="x", model=MODEL, principal="a", continue_from=journal.run_id))
