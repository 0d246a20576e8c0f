"""What breaks around an agent - model, tools, disk, clock, listeners - ends its run once at most, and says so."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from agent.scripted import MODEL, Scripted, call, do, opened, orderly, results, write_agent
from crash import failing
from faults.asking import CANARY, Asking
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm import errors
from mcp_llm.agent.limits import Meter
from mcp_llm.agent.operation import run_agent
from mcp_llm.agent.task import Limits, Task
from mcp_llm.errors import Error, StoreError
from mcp_llm.toolsets.functions import Function, Functions
from mcp_llm.types.chat import End
from mcp_llm.types.events import Start, TextEvent, dump

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

SEEDS = int(os.environ.get("MCP_LLM_SEEDS", "40"))
ID = "f" * 32
MODEL_FAULTS: list[Callable[[], Any]] = [
    *(
        (lambda kind=kind: kind("broken", provider="scripted"))
        for kind in (errors.RateLimited, errors.Overloaded, errors.Timeout, errors.AuthError, errors.QuotaExceeded)
    ),
    *(
        (lambda kind=kind: kind("broken", provider="scripted"))
        for kind in (errors.Garbled, errors.ContextTooLong, errors.Refused, errors.Disconnected, errors.NotFound)
    ),
    lambda: RuntimeError("somebody's bug"),
    lambda: ["half a sen", End(stop="length")],
    lambda: End(stop="error"),
    lambda: End(stop="content_filter"),
    lambda: "",
    lambda: call("work", '{"x": 1,,}'),
    lambda: call("no_such_tool"),
    lambda: [call("work", {}, "same"), call("work", {}, "same"), call("work", {}, "")],
    lambda: call("ask_worker", {"task": ""}),
]
TOOL_FAULTS = ["raise", "huge", "escapes", "forever", "cancel", "stop", "none"]


class Chaos:
    """One fault at one step of a run; the rest of it goes well."""

    def __init__(self, seed: int) -> None:
        luck = random.Random(seed)
        self.where = luck.choice(["model", "tool", "listener", "limit"])
        self.step = luck.randrange(4)
        self.model = luck.choice(MODEL_FAULTS)
        self.tool = luck.choice(TOOL_FAULTS)
        self.limits: dict[str, Any] = luck.choice(
            [{"turns": 1}, {"calls": 1}, {"usd": 0.004}, {"tokens": 1000}, {"seconds": 0.05}]
        )
        self.inside = luck.random() < 0.3  # in the delegate
        self.calls = 0
        self.scope = anyio.CancelScope()
        self.app: Any = None

    def reply(self, request: Any) -> Any:
        inside = "Worker" in (request.system or "")
        step = sum(message.role == "assistant" for message in request.messages)
        if self.where == "model" and inside == self.inside and step == min(self.step, 1 if inside else 3):
            return self.model()
        if step == (1 if inside else 3):
            return "done"
        asked = [call("work", {}, f"w{step}")]
        if not inside and step == 1:
            asked.append(call("ask_worker", {"task": "the same"}, "d"))
        return asked

    def tools(self) -> Functions:
        async def work() -> str:
            self.calls += 1
            if self.where != "tool" or self.calls != self.step + 1:
                return "worked"
            if self.tool == "raise":
                raise ValueError("out of paper")
            if self.tool == "forever":
                await anyio.sleep(0.2)
            if self.tool == "cancel":
                self.scope.cancel()
                await anyio.sleep_forever()
            if self.tool == "stop":
                await self.app.journals.request_cancel(ID, "local")
                await anyio.sleep_forever()
            return "\x1b[2J" * 200_000 if self.tool == "escapes" else "x" * 2_000_000

        return Functions([Function(work, destructive=False)])

    def listen(self, event: dict[str, Any]) -> None:
        if self.where == "listener" and event["seq"] == self.step:
            raise RuntimeError("whoever listens is broken")


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_breaks_a_run_ends_once(home: Path, seed: int) -> None:
    chaos = Chaos(seed)
    write_agent(home, "boss", f'delegates = ["worker"]\nmodel = "{MODEL}"')
    write_agent(home, "worker", f'model = "{MODEL}"', "Worker is what you are.")
    limits = Limits(**chaos.limits) if chaos.where == "limit" else Limits(usd=10, seconds=30)
    raised: BaseException | None = None
    async with opened(home, {"scripted": Scripted(chaos.reply)}) as app:
        chaos.app = app
        app.llm.sleep = lambda _: anyio.lowlevel.checkpoint()
        with anyio.fail_after(60), chaos.scope:
            try:
                task = Task(prompt="go", agent="boss", budget=limits)
                await run_agent(app, app.journals, task, run_id=ID, toolsets=[chaos.tools()], on_event=chaos.listen)
            except Error as error:
                raised = error
        runs = {run.id: run for run in await app.journals.list("local")}
        told = {run_id: [dump(event) for event in await app.journals.events(run_id)] for run_id in runs}
        held = await app.runs.store.query("SELECT count(*) FROM reservations WHERE ledger IS NULL")
    for run_id, events in told.items():
        orderly(events)
        assert runs[run_id].status in {"finished", "failed", "cancelled"}
        assert (events[-1]["event"] == "finish") == (runs[run_id].status == "finished")
    assert (runs[ID].status == "finished") == (raised is None and not chaos.scope.cancelled_caught)
    assert held == [(0,)]


async def test_a_disk_that_fills_up_stops_the_run_before_it_pays_again(home: Path) -> None:
    model = Scripted(call("work", {}, "a"), call("work", {}, "b"), "done")

    async def work() -> str:
        await app.runs.store.write(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchone())
        return "x" * 15_000  # kept whole, in the journal

    async with opened(home, {"scripted": model}) as app:
        with pytest.raises(StoreError, match="full"):
            await do(app, "go", toolsets=[Functions([work])], run_id=ID)
        kept = await app.journals.events(ID)
        info = await app.journals.get(ID, "local")
    assert len(model.requests) == 1
    assert (info.status, "full" in info.result["error"]) == ("failed", True)  # written when there was room again
    assert [event.event for event in kept if event.event in {"tool_start", "tool_end"}] == ["tool_start"]


DRIVEN = """
import sys, anyio
from pathlib import Path
from crash import failing
from agent.scripted import Scripted, call, do, opened
from mcp_llm.toolsets.functions import Functions

def note(name: str) -> str:
    with open(sys.argv[2], "a") as file:
        file.write(name + "\\n")
    return "noted"

async def main():
    model = Scripted(*(call("note", {"name": str(n)}, f"n{n}") for n in range(8)), "done")
    told = []
    async with opened(Path(sys.argv[1]), {"scripted": model}) as app:
        try:
            await do(app, "go", toolsets=[Functions([note])], run_id="f" * 32, on_event=told.append)
        except Exception as error:
            print(type(error).__name__, file=sys.stderr)
        print(max((event["seq"] for event in told), default=-1), len(model.requests))
anyio.run(main)
"""


@pytest.mark.parametrize("when", [13, 16])
async def test_a_sync_that_fails_is_not_taken_for_one_that_worked(home: Path, tmp_path: Path, when: int) -> None:
    failing.needs_strace()
    tests = Path(__file__).parents[1]
    inject = failing.tracing(failing.Fault("sync", "EIO", when), home, Path("/dev/null"))
    done = await anyio.run_process(
        [*inject, sys.executable, "-c", DRIVEN, str(home), str(tmp_path / "notes")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])},
        stderr=subprocess.PIPE,
        check=False,
    )
    last, asked = map(int, done.stdout.split())
    async with opened(home, {}) as app:
        found = await app.journals.list("local")
        kept = [event.seq for event in await app.journals.events(found[0].id)] if found else []
    assert kept == list(range(len(kept)))
    assert len(kept) > last  # what was told is there
    notes = (tmp_path / "notes").read_text().split() if (tmp_path / "notes").exists() else []
    assert len(notes) == len(set(notes)) <= asked
    assert b"StoreError" in done.stderr
    assert asked < 9  # it stopped there, before the next call that is paid for


def test_a_clock_that_jumps_back_costs_no_time() -> None:
    meter = Meter("r", Limits(seconds=60))
    times = [1_000_000, 1_002_000, 10, 5_010]
    meter.replay([Start(prompt="x", ts=times[0]), *(TextEvent(text="x", ts=ts) for ts in times[1:])])
    assert meter.before == 7.0
    assert 52 < meter.seconds_left <= 53


async def test_durations_are_not_those_of_the_wall_clock(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> str:
        return "worked"

    now = iter(range(10**15, 0, -(10**9)))
    monkeypatch.setattr(time, "time_ns", lambda: next(now))  # the day is set back with every look
    async with opened(home, {"scripted": Scripted(call("work"), "done")}) as app:
        result = await do(app, "go", toolsets=[Functions([work])])
        kept = [dump(event) for event in await app.journals.events(result.run_id)]
    orderly(kept)
    assert [event["latency_ms"] >= 0 for event in kept if event.get("latency_ms") is not None] == [True] * 3


async def test_escapes_are_cut_for_the_model_and_whole_in_the_journal(home: Path) -> None:
    said = "\x1b]0;pwn\x07\x1b[2Jline\n" * 100_000

    def page() -> str:
        return said

    model = Scripted(call("page"), "done")
    async with opened(home, {"scripted": model}) as app:
        result = await do(app, "go", toolsets=[Functions([page])])
        kept = await app.journals.events(result.run_id)
        (end,) = (event for event in kept if event.event == "tool_end")
        whole = await app.journals.read_text(str(end.rest), "local", limit=10**7)
    told = results(model.requests[1])[0][1]
    assert len(told.encode()) <= 256 * 1024
    assert "read_more(handle=" in told
    assert whole.text == said


async def test_a_key_is_in_no_event_row_or_result_of_a_run(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    asking = Asking(home)
    quoted = Reply(status=401, body=b'{"error": {"message": "bad key ' + CANARY.encode() + b'"}}')
    with FaultServer([ok("openai", stream=True), quoted]) as server:
        name = asking.provider("acme", server.url)
        async with asking.open() as service:
            told: list[dict[str, Any]] = []
            app: Any = service
            task = Task(prompt="x", model=name, max_tokens=9)
            await run_agent(app, app.journals, task, on_event=told.append)
            with pytest.raises(Error) as caught:
                await run_agent(app, app.journals, task, on_event=told.append)
    assert CANARY not in str(caught.value)
    assert CANARY not in str(capfd.readouterr())
    assert [event for event in told if event["event"] in {"finish", "error"}][-1]["kind"] == "auth"
