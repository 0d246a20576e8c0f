"""Two servers under a steady mix of calls and faults: one that is killed now and then, and one that lives through it.

Both are asked the same, a call a second each: `generate` over two providers that fail now and then, `compare_models`,
`run_agent` with a child, a workflow with a batch of files, `embed`. What the first had handed out before it was killed
has to be there afterwards, and goes on; the second may not grow.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from load.crowd import crowd
from load.measured import ALL_CLOSED
from load.provider import provided, providing
from load.watched import Held, held, slope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from load.crowd import Answer, Crowd

CANARY = "sk-canary-9f8e7d6c5b4a39281706"
FIGURES = Path(__file__).resolve().parents[1] / "agent" / "server.py"
SETTINGS = """packs = ["media", "workflow"]
default = "a:m"
fallbacks = ["b:m"]
[timeouts]
first_byte = 2
idle = 2
total = 30
[servers.figures]
command = {python!r}
args = [{server!r}, {notes!r}]
approve = {{ "*" = "allow" }}
"""
WORKFLOW = """name: mixed
tasks:
  - {id: first, method: llm/generate, parameters: {prompt: "one"}}
  - {id: second, method: llm/generate, parameters: {prompt: "two ${first.response}", model: demo}}
  - id: each
    type: batch
    directory: BATCH
    pattern: "*.txt"
    template: {method: llm/embed, parameters: {input: "${file.name}", model: demo}}
"""


@dataclass
class Soaked:
    """What came of it."""

    answers: list[Answer] = field(default_factory=list)
    kills: int = 0
    acknowledged: set[str] = field(default_factory=set)
    """Runs whose end the killed server had told of."""
    resumed: int = 0
    lost: int = 0
    """Acknowledged runs that are not there, and handed out ones that came to no end."""
    repeated: int = 0
    """Side effects that happened more than once."""
    samples: list[tuple[float, Held]] = field(default_factory=list)
    """(seconds, what the lasting server held)."""
    quiet: list[Held] = field(default_factory=list)
    """What it held when it had nothing to do: after a while, and at the end."""
    canaries: list[str] = field(default_factory=list)
    orphans: int = 0
    seconds: float = 0.0

    @property
    def unserved(self) -> list[Answer]:
        return [answer for answer in self.answers if not answer.served]

    def growth(self, after: float) -> float:
        """MiB an hour of the lasting server, by least squares over what was seen after so many seconds."""
        return slope([(at / 3600, one.rss) for at, one in self.samples if at >= after])


def mix(number: int, life: str) -> tuple[str, dict[str, Any]]:
    """The tool and arguments of a call."""
    line = f"{life}-{number}"
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("generate", {"prompt": f"hello {number}", "wait_s": 60}),
        ("generate", {"prompt": f"go on {number}", "thread": "new", "wait_s": 60}),
        ("compare_models", {"prompt": f"which {number}", "models": ["a:m", "b:m", "demo"], "wait_s": 60}),
        ("run_agent", {"prompt": f'note {{"line": "{line}"}}', "model": "demo", "wait_s": 60}),
        ("run_workflow", {"name": "mixed", "wait_s": 60}),
        ("embed", {"input": [f"text {number}", "another"], "model": "demo"}),
    ]
    return kinds[number % len(kinds)]


def soak(folder: Path, seconds: float, *, kill_every: float, warm: float) -> Soaked:
    """Do it for so long in this folder; `warm` seconds pass before what the lasting server holds is compared."""
    found, keys = Soaked(), {"A_API_KEY": CANARY, "B_API_KEY": CANARY}
    with ExitStack() as stack:
        url = stack.enter_context(providing("faulty", "0.05", "7"))
        homes = [home(folder / name, url) for name in ("killed", "lasting")]
        lasting = stack.enter_context(crowd("http", homes[1], **keys))
        began = time.monotonic()
        number = 0
        while (now := time.monotonic() - began) < seconds:
            life = f"life{found.kills}"
            with crowd("stdio", homes[0], **keys) as mortal:
                if found.kills:
                    _go_on(mortal, found)
                until = min(seconds, now + kill_every)
                for at in _seconds(began, until):
                    for client in (mortal, lasting):
                        client.call(*mix(number, life))
                    number += 1
                    _listen((mortal, lasting), began + at + 1)
                    found.samples.append((time.monotonic() - began, held(lasting.pid)))
                    if not found.quiet and at > warm:
                        found.quiet.append(_at_rest(lasting))
                _kill(mortal, found)
            found.kills += 1
        found.quiet.append(_at_rest(lasting))
        if found.quiet[-1].files > found.quiet[0].files:  # as many are kept as were needed at once a moment ago
            time.sleep(ALL_CLOSED)
            found.quiet[-1] = held(lasting.pid)
        found.seconds = time.monotonic() - began
        with crowd("stdio", homes[0], **keys) as last:
            _go_on(last, found)
        found.answers += lasting.answers
        lasting.wire.process.send_signal(signal.SIGTERM)
        lasting.wire.process.wait(10)
    _judge(folder, homes, found)
    return found


def home(place: Path, url: str) -> Path:
    """A home with settings, a workflow and files for its batch."""
    place.mkdir()
    notes = place / "notes"
    provided(place, url, {"a": "a", "b": "b"}, "")
    batch = place / "batch"
    for folder in (batch, place / "workflows"):
        folder.mkdir()
    for name in ("one", "two", "three"):
        (batch / f"{name}.txt").write_text(name)
    (place / "workflows" / "mixed.yaml").write_text(WORKFLOW.replace("BATCH", str(batch)))
    (place / "mcp_llm.toml").write_text(
        SETTINGS.format(python=sys.executable, server=str(FIGURES), notes=str(notes))
        + f'[files]\nroots = ["{batch}"]\n'
    )
    return place


def _seconds(began: float, until: float) -> Iterator[float]:
    """One a second, from now until then."""
    while (at := time.monotonic() - began) < until:
        yield at


def _listen(clients: tuple[Crowd, ...], until: float) -> None:
    while (left := until - time.monotonic()) > 0:
        for client in clients:
            client.read(min(0.1, left))


def _at_rest(client: Crowd) -> Held:
    """What it holds when every call is answered and its connections have had time to end."""
    client.all(90)
    time.sleep(2)
    return held(client.pid)


def _kill(client: Crowd, found: Soaked) -> None:
    """Hand out one more run, and kill the server with it."""
    line = f"handed-{found.kills}"
    client.ask("run_agent", {"prompt": f'note {{"line": "{line}"}}', "model": "demo", "wait_s": 0})
    os.kill(client.pid, signal.SIGKILL)
    client.wire.process.wait()
    found.answers += client.answers
    for answer in client.answers:
        data = (answer.result or {}).get("structuredContent") or {}
        if data.get("run_id") and data.get("stop_reason"):
            found.acknowledged.add(data["run_id"])


def _go_on(client: Crowd, found: Soaked) -> None:
    """What was interrupted goes on, and comes to an end; it may have done so by itself in the meantime."""
    listed = client.ask("runs", {"action": "list", "status": "interrupted"}).result or {}
    for run in listed.get("structuredContent", {}).get("runs", []):
        client.ask("runs", {"action": "resume", "run_id": run["run_id"], "again": True, "wait_s": 60}, 90)
        found.resumed += 1
        read = client.ask("runs", {"action": "read", "run_id": run["run_id"]}).result or {}
        found.lost += read.get("structuredContent", {}).get("status") not in {"finished", "failed", "cancelled"}
    client.answers.clear()  # the calls of the soak are counted, and these are none


def _judge(folder: Path, homes: list[Path], found: Soaked) -> None:
    """What is on the disk, and what still runs."""
    with closing(sqlite3.connect(homes[0] / "state.db")) as connection, connection:
        ended = connection.execute(
            "SELECT run FROM run_events JOIN runs ON id = run WHERE run_events.kind = 'finish' AND status = 'finished'"
        )
        found.lost += len(found.acknowledged - {run for (run,) in ended})
    for place in homes:
        lines = (place / "notes").read_text().splitlines()
        found.repeated += len(lines) - len(set(lines))
    found.canaries = [
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and CANARY.encode() in file.read_bytes()
    ]
    found.canaries += [f"an answer of call {one.number}" for one in found.answers if CANARY in str(one.result)]
    time.sleep(1)
    mark = str(folder).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.orphans += mark in (process / "cmdline").read_bytes()
        except OSError:
            continue
