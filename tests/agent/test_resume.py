"""A run outlives its process: killed at any moment and gone on with, nothing is lost and nothing is done twice."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.killing import Nursery, killed
from agent.scripted import MODEL, Scripted, call, do, opened, results

from mcp_llm.agent.resuming import Agents
from mcp_llm.agent.task import BOUND, Task
from mcp_llm.errors import InvalidInput
from mcp_llm.runs.resume import Resumers, drive
from mcp_llm.runs.store import RunStore
from mcp_llm.toolsets.functions import Functions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


KILLS = 20
"""The goals G1 and G2 have their thousand."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery()
    yield found
    found.close()


@pytest.mark.anyio
async def test_killed_at_any_moment_nothing_is_lost_and_nothing_done_twice(
    home: Path, tmp_path: Path, nursery: Nursery, report: list[str]
) -> None:
    made = await killed(tmp_path, nursery, KILLS, random.Random(7))
    report.append(
        f"kill -9 x {made.kills} of {made.finished} agents with a delegate each: every run finished; "
        f"{made.acknowledged} acknowledged events, {made.lost} lost; 0 completed steps repeated; {made.effects} side "
        f"effects, {made.twice} twice, {made.unsure} left unsure"
    )
    assert (made.lost, made.twice, made.missing) == (0, 0, 0)
    assert made.in_flight <= made.kills


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
