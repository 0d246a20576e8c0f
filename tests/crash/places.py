"""What people do with `mcp-llm`, each in a place of its own, and what has to hold there after it was cut short."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from mcp_llm.errors import StoreError
from mcp_llm.store.sqlite import Store

from . import failing
from .failing import Fault

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from .failing import Done

TESTS: Final = Path(__file__).resolve().parents[1]
HOST: Final = {"mcpServers": {"other": {"command": "true"}}, "theme": "dark"}
"""The settings of a host before we come."""
WORKFLOW: Final = """
name: two
tasks:
  - {id: first, method: llm/generate, parameters: {prompt: "One line.", model: demo}}
  - {id: second, method: llm/generate, parameters: {prompt: "More than ${first.response}", model: demo}}
outputs: {said: "${second.response}"}
"""
COMMANDS: Final[dict[str, list[str]]] = {
    "ask": ["ask", "-m", "demo", "hello there"],
    "budget": ["ask", "-m", "demo", "--budget-usd", "1", "hello there"],
    "agent": ["agent", "-m", "demo", "--server", "figures", "please add the numbers"],
    "batch": ["batch", "run", "{place}/prompts.jsonl", "-o", "{place}/answers.jsonl", "-m", "demo"],
    "workflow": ["workflow", "run", "{place}/two.yaml"],
    "image": ["image", "-m", "demo", "a lighthouse", "-o", "{place}/lighthouse.png"],
    "install": ["install", "cursor"],
    "approve": ["servers", "approve", "rug"],
    "token": ["token", "create", "alice"],
}
"""By a short name; `{place}` is the folder."""
JOURNALLED: Final = {"agent", "workflow"}
"""Those whose receipt is given only when the run is on disk."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a home, a host's settings, and files to work on."""

    folder: Path

    @property
    def kept(self) -> Path:
        """The folder as it was at first."""
        return self.folder.with_name(f"{self.folder.name}.kept")

    @property
    def home(self) -> Path:
        """MCP_LLM_HOME."""
        return self.folder / "home"

    @property
    def host(self) -> Path:
        """The settings that `install` changes."""
        return self.folder / "user" / ".cursor" / "mcp.json"

    def run(self, command: list[str], fault: Fault | None = None) -> Done:
        """Run it here."""
        words = [word.format(place=self.folder) if "{place}" in word else word for word in command]
        return failing.run(fault, words, self.home, environment={"HOME": str(self.folder / "user")})

    def again(self, *, new: bool = False) -> None:
        """Everything as it was at first; with `new` there is no state database yet."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.kept, self.folder)
        if new:
            (self.home / "state.db").unlink()


def make(folder: Path) -> Place:
    """A place in this folder, with a server there that has changed since it was agreed to."""
    place = Place(folder)
    place.home.mkdir(parents=True, mode=0o700)
    servers = {
        "figures": [str(TESTS / "agent" / "server.py"), str(folder / "notes")],
        "rug": ["-S", "-E", str(TESTS / "faults" / "child.py"), "rugpull", str(folder / "said")],
    }
    (place.home / "mcp_llm.toml").write_text(
        "\n".join(
            f"[servers.{name}]\ncall_timeout_s = 9\ncommand = {json.dumps(sys.executable)}\n"
            f"args = {json.dumps(arguments)}"
            for name, arguments in servers.items()
        )
    )
    (folder / "said").write_text("Adds.")
    (folder / "prompts.jsonl").write_text('"one"\n"two"\n"three"\n')
    (folder / "two.yaml").write_text(WORKFLOW)
    place.host.parent.mkdir(parents=True)
    place.host.write_text(json.dumps(HOST))
    assert place.run(["servers", "check", "rug"]).code == 0
    (folder / "said").write_text("Adds more.")
    assert place.run(["servers", "check", "rug"]).code == 1
    shutil.copytree(folder, place.kept)
    return place


KINDS: Final = [(call, how) for call in failing.CALLS for how in failing.HOW]
"""What can fail, and how."""
LARGEST: Final = {"write": 40, "sync": 9, "truncate": 2, "rename": 3, "open": 9}
"""About how many calls of a kind a thread makes at most; with a higher number nothing fails."""


def every(place: Place, name: str, call: str, how: str) -> Iterator[tuple[Fault, list[str]]]:
    """The first, the second, ... call failing until the command passes: the fault and what did not hold after it."""
    struck, number = True, 0
    while struck:
        number += 1
        fault = Fault(call, how, number)
        struck, found = one(place, name, fault)
        yield fault, found


def some(place: Place, name: str, chance: random.Random, count: int) -> Iterator[tuple[Fault, list[str]]]:
    """So many faults of any kind, one of them a limit on the size of files."""
    yield (fault := Fault("size", "short", chance.randint(1, 40))), one(place, name, fault)[1]
    most = {kind: LARGEST[kind[0]] for kind in KINDS}
    while count > 1 and most:
        kind = chance.choice([*most])
        fault = Fault(*kind, chance.randint(1, most[kind]))
        struck, found = one(place, name, fault)
        count -= struck
        if not struck and fault.number == 1:
            del most[kind]
        elif not struck:
            most[kind] = fault.number - 1
        yield fault, found


def one(place: Place, name: str, fault: Fault) -> tuple[bool, list[str]]:
    """Whether it struck, and what did not hold; half of the homes have no state database before."""
    place.again(new=fault.number % 2 == 0 and name != "approve")
    done = place.run(COMMANDS[name], fault)
    return done.struck, list(complaints(place, name, fault, done))


def complaints(place: Place, name: str, fault: Fault, done: Done) -> Iterator[str]:
    """What does not hold after the command of that name was run with the fault."""
    if done.code not in ({-9} if fault.how == "kill" and done.struck else {0, 1, 2, 3, 4}):
        yield f"exit code {done.code}"
    if "Traceback" in done.stderr or "unexpected " in done.stderr:
        yield f"no error of ours: {done.stderr[-600:]}"
    if done.code > 0 and not (done.stderr or done.mute):
        yield "it failed without a word"
    if done.code == 0 and not done.mute and re.search(r"in memory|are lost", done.stderr) is None:
        yield from _undone(place, name, done)
    yield from _lost(place, name, done)
    yield from _state(place)


def _undone(place: Place, name: str, done: Done) -> Iterator[str]:
    """It said that all went well: then what it was to do is done."""
    with closing(sqlite3.connect(place.home / "state.db")) as state, state:
        if name in {"ask", "budget", "image", "agent"}:
            run_id = _receipt(done)
            if state.execute("SELECT count(*) FROM ledger WHERE run_id = ?", (run_id,)).fetchone() == (0,):
                yield f"run {run_id} has no row in the ledger"
        if name == "token" and state.execute("SELECT count(*) FROM tokens").fetchone() == (0,):
            yield "the token is not kept"
    state.close()
    if name == "install" and "mcp-llm" not in json.loads(place.host.read_text())["mcpServers"]:
        yield "the host knows nothing of us"
    if name == "batch" and len((place.folder / "answers.jsonl").read_text().splitlines()) != 3:
        yield "answers are missing"
    if name == "image" and b"IEND" not in (place.folder / "lighthouse.png").read_bytes()[-12:]:
        yield "the picture is not whole"
    if name == "approve" and "agreed: work" not in done.stdout:
        yield "nothing was agreed to"


def _lost(place: Place, name: str, done: Done) -> Iterator[str]:
    """What was acknowledged, whatever came after, is there; and of others' files nothing is broken."""
    if name in JOURNALLED and (run_id := _receipt(done)) and not done.mute and "in memory" not in done.stderr:
        with closing(sqlite3.connect(place.home / "state.db")) as state, state:
            found = state.execute("SELECT status FROM runs WHERE id = ?", (run_id,)).fetchone()
        state.close()
        if found != ("finished",) if done.code <= 0 else found is None:
            yield f"run {run_id} was reported and is {found}"
    settings = json.loads(place.host.read_text())
    if (settings["mcpServers"]["other"], settings["theme"]) != (HOST["mcpServers"]["other"], "dark"):  # type: ignore[index]
        yield "the host's settings have changed"
    answers = place.folder / "answers.jsonl"
    for line in answers.read_bytes().split(b"\n")[:-1] if answers.exists() else ():
        json.loads(line)


def _receipt(done: Done) -> str | None:
    found = re.search(r"run ([0-9a-f]{32})", done.stderr)
    return found[1] if found else None


def _state(place: Place) -> Iterator[str]:
    """The store opens again, is whole, and has nothing to tell; runs end, or can be gone on with."""

    async def look() -> list[str]:
        store = Store.open(place.home / "state.db")
        try:
            wrong = [str(row[0]) for row in await store.query("PRAGMA integrity_check") if row != ("ok",)]
            gaps = await store.query("SELECT run FROM run_events GROUP BY run HAVING count(*) <> max(seq) + 1")
            held = await store.query(
                "SELECT kind, key FROM budgets WHERE held_usd < 0 OR held_calls < 0 OR usd < 0 OR calls < 0"
            )
            return [*wrong, *(f"run {run} has a gap" for (run,) in gaps), *map(str, held), *store.notes]
        finally:
            store.close()

    try:
        yield from anyio.run(look)
    except StoreError as error:
        yield f"the store does not open: {error}"
