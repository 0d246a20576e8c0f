"""Agents with a delegate, killed at random moments and gone on with: the histories of tests and goals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.scripted import MODEL, opened, write_agent

from mcp_llm.types.events import LAST, ModelEnd, ModelStart, ToolEnd, ToolStart

if TYPE_CHECKING:
    import random

    from mcp_llm.types.events import Event

WINDOW = {False: (0.02, 0.4), True: (0.1, 0.6)}
"""Seconds after which it is killed; one that goes on with a run has to wait for the lease of the one before."""


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


@dataclass(slots=True)
class Agents:
    """What came of so many agents; `twice` are side effects that were made twice, `unsure` calls told as unsure."""

    kills: int = 0
    finished: int = 0
    acknowledged: int = 0
    lost: int = 0
    in_flight: int = 0
    effects: int = 0
    twice: int = 0
    missing: int = 0
    unsure: int = 0


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


async def killed(folder: Path, nursery: Nursery, kills: int, luck: random.Random) -> Agents:
    """One agent after another, each killed up to six times and then left to finish, until so many kills were made."""
    made, number = Agents(), 0
    while made.kills < kills:
        place = folder / f"run{number}"
        place.mkdir()
        write_agent(place, "boss", 'delegates = ["worker"]')
        write_agent(place, "worker", f'model = "{MODEL}"', "Worker is what you are.")
        await _finished(place, nursery, f"{number:032x}", luck, made)
        await _judged(place, f"{number:032x}", made)
        number += 1
    return made


async def _finished(place: Path, nursery: Nursery, run_id: str, luck: random.Random, made: Agents) -> None:
    resume, status = False, "none"
    for kill in (*[True] * 6, False):
        after = luck.uniform(*WINDOW[resume]) if kill else None
        code = nursery.drive(place, run_id, resume=resume, kill_after=after)
        assert code in {0, signal.SIGKILL}
        made.kills += code == signal.SIGKILL
        async with opened(place, {}) as app:
            known = await app.journals.list("local")
            resume = bool(known)
            status = next((one.status for one in known if one.id == run_id), status)
        if status == "finished":
            break


async def _judged(place: Path, run_id: str, made: Agents) -> None:
    async with opened(place, {}) as app:
        info = await app.journals.get(run_id, "local")
        assert (info.status, info.result["response"]) == ("finished", "done")
        found = {one.id: await app.journals.events(one.id) for one in await app.journals.list("local")}
    assert len(found) == 2
    for events in found.values():
        judge(events)
        made.in_flight += sum(count - 1 for count in Counter(starts(events)).values())
    told = {f"{event.run_id} {event.seq}" for events in found.values() for event in events}
    acked = lines(place / "acked")
    notes = Counter(lines(place / "notes"))
    texts = " ".join(str(event.result) for events in found.values() for event in events if isinstance(event, ToolEnd))
    unsure = texts.count("may have been made")
    wanted = {f"{who}{step}" for who in ("boss", "worker") for step in range(4)}
    made.finished += 1
    made.acknowledged += len(acked)
    made.lost += len(set(acked) - told)
    made.effects += len(notes)
    made.twice += sum(count - 1 for count in notes.values())
    made.unsure += unsure
    made.missing += max(0, len(wanted - notes.keys()) - unsure)


def starts(events: list[Event]) -> list[int]:
    """The step of every model call that was begun."""
    return [event.step for event in events if isinstance(event, ModelStart)]
