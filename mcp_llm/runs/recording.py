"""A run as a portable file: JSON lines, a header and then its events, for replaying, comparing and testing elsewhere.

A section for the run and one for each of its delegates. What is read from a file is somebody's data: it is checked
whole before any of it is used, never driven by itself, and it belongs to whoever reads it.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import anyio.to_thread
from pydantic import Field, ValidationError

from mcp_llm.errors import Conflict, InvalidInput, TooLarge
from mcp_llm.toolsets.text import mended
from mcp_llm.types.events import EVENT, Finish, decode, encode
from mcp_llm.types.message import Value

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from mcp_llm.types.events import Event

    from .store import RunStore

VERSION: Final = 1
MOST_BYTES: Final = 256 * 1024 * 1024
MOST_CHILDREN: Final = 1000
MOST_BELOW: Final = 100
"""Runs that stand below one another; far fewer may, where they are made."""
MOST_DEPTH: Final = 200
"""Of a line; pydantic writes no more than some 250."""
_ID: Final = r"^[A-Za-z0-9_-]{1,64}$"
_LATEST: Final = 253_402_300_799_000
"""The end of the year 9999 in ms: nobody can show, and SQLite cannot keep, just any number."""
_ENDED: Final = frozenset({"finished", "failed", "cancelled"})


class Header(Value):
    """The first line of a section. `result` and `request` are JSON as the run's row has them, times epoch ms.

    `events` and `texts` count the lines that follow, `redacted` the strings of the section that held a secret.
    """

    recording: Literal["mcp-llm"] = "mcp-llm"
    version: Literal[1] = VERSION
    by: str = ""
    """The version of mcp-llm that wrote it."""
    id: str = Field(pattern=_ID)
    kind: str = Field(max_length=64)
    status: str = Field(max_length=32)
    created: int = Field(ge=0, le=_LATEST)
    updated: int = Field(ge=0, le=_LATEST)
    model: str | None = None
    parent: str | None = Field(default=None, pattern=_ID)
    request: dict[str, Any] = Field(default_factory=dict)
    result: dict[str, Any] = Field(default_factory=dict)
    events: int = Field(ge=0)
    texts: int = Field(default=0, ge=0)
    redacted: int = Field(default=0, ge=0)


@dataclass(slots=True)
class Recording:
    """One run: its row, its events, its long texts by name, and the runs of its delegates."""

    header: Header
    events: list[Event]
    texts: dict[str, str] = field(default_factory=dict)
    children: list[Recording] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The run's."""
        return self.header.id

    def all(self) -> Iterator[Recording]:
        """This one and everything below it."""
        yield self
        for child in self.children:
            yield from child.all()


async def take(runs: RunStore, run_id: str, principal: str) -> Recording:
    """A stored run that nobody drives, with its delegates. Raises InvalidInput."""
    info = await runs.get(run_id, principal)
    if info.live:
        raise InvalidInput(f'run {run_id} is {info.status}: wait for it first, runs(action="wait", run_id="{run_id}")')
    events = await runs.events(run_id)
    texts = dict(await runs.store.query("SELECT id, body FROM run_texts WHERE run = ? ORDER BY id", (run_id,)))
    below = await runs.list(principal, limit=MOST_CHILDREN, parent=run_id)
    return Recording(
        Header(
            id=info.id,
            kind=info.kind,
            status=info.status,
            created=info.created,
            updated=info.updated,
            model=info.model,
            parent=info.parent,
            request=info.request,
            result=info.result,
            events=len(events),
            texts=len(texts),
        ),
        events,
        texts,
        [await take(runs, child.id, principal) for child in sorted(below, key=lambda one: one.created)],
    )


def lines(recording: Recording, redact: Callable[[str], str], *, by: str = "") -> Iterator[str]:
    """The file, line by line, without secrets. Raises InvalidInput for a run that has no events."""
    if not recording.events:
        raise InvalidInput(
            f"run {recording.id} has no events: it was answered in one go, and only its answer is kept; "
            "`mcp-llm runs read` shows it"
        )
    for one in recording.all():
        found = 0

        def clean(value: Any) -> Any:
            nonlocal found
            if isinstance(value, str):
                told = redact(value)
                found += told != value
                return told
            if isinstance(value, dict):
                return {redact(str(key)): clean(item) for key, item in value.items()}
            return [clean(item) for item in value] if isinstance(value, list | tuple) else value

        body = [clean(json.loads(encode(event))) for event in one.events]
        body += [{"text": name, "body": clean(text)} for name, text in one.texts.items()]
        head = clean(one.header.model_dump(mode="json", exclude_none=True, exclude={"by"}))
        head["request"].pop("principal", None)
        yield _line({**head, "by": by, "redacted": found})
        yield from map(_line, body)


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"


async def find(runs: RunStore, where: str, principal: str) -> Recording:
    """A run by its id, or by the file it was recorded in. Raises InvalidInput."""
    if where.endswith(".jsonl") or "/" in where or os.sep in where:
        return await anyio.to_thread.run_sync(load, Path(where))
    return await take(runs, where, principal)


def save(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file for its owner's eyes only. Raises OSError; FileExistsError unless it may `replace` one."""
    with open(
        path, "w" if replace else "x", encoding="utf-8", opener=lambda name, how: os.open(name, how, 0o600)
    ) as out:
        out.write(text)


def load(path: Path) -> Recording:
    """Read a file. Raises InvalidInput, TooLarge."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TooLarge(f"{path.name} is over {MOST_BYTES // 1024 // 1024} MiB: it is no recording of one run")
        data = path.read_bytes()
    except OSError as exc:
        raise InvalidInput(f"{path.name} cannot be read: {exc.strerror}") from None
    return parse(data, path.name)


def parse(data: bytes, name: str = "the recording") -> Recording:
    """The run that a file's bytes hold. Raises InvalidInput naming the line that is wrong."""
    sections: list[Recording] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            _take(sections, line)
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise InvalidInput(f"{name}, line {number}: {_why(exc)}") from None
    if not sections:
        raise InvalidInput(f"{name} is empty: `mcp-llm runs record RUN -o FILE` writes one")
    for one in sections:
        if (len(one.events), len(one.texts)) != (one.header.events, one.header.texts):
            raise InvalidInput(
                f"{name} was cut: run {one.id} has {len(one.events)} of {one.header.events} events and "
                f"{len(one.texts)} of {one.header.texts} texts. Record it again."
            )
    return _joined(sections, name)


def _take(sections: list[Recording], line: bytes) -> None:
    value = mended(json.loads(line, parse_constant=_finite, parse_float=_finite))
    _shallow(value, MOST_DEPTH)
    if isinstance(value, dict) and "recording" in value:
        if isinstance(version := value.get("version"), int) and version > VERSION:
            raise ValueError(f"it was recorded in version {version} of this format: upgrade mcp-llm")
        sections.append(Recording(Header.model_validate(value), []))
        return
    if not sections:
        raise ValueError("this is no recording: it has to begin with a header, as `mcp-llm runs record` writes it")
    last = sections[-1]
    if isinstance(value, dict) and "text" in value and "event" not in value:
        last.texts[str(value["text"])] = str(value["body"])
        return
    event = EVENT.validate_python(value)
    if event.seq != len(last.events) or event.run_id != last.id:
        raise ValueError(f"event {event.seq} of run {event.run_id[:64]!r} does not belong here: an event is missing")
    if not 0 <= event.ts <= _LATEST:
        raise ValueError(f"event {event.seq} has no time of this calendar")
    last.events.append(event)


def _shallow(value: Any, left: int) -> None:
    if not left and isinstance(value, dict | list):
        raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _shallow(inner, left - 1)


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits[:20]} is no number of JSON's")
    return number


def _why(exc: BaseException) -> str:
    if isinstance(exc, ValidationError):
        first = exc.errors(include_url=False, include_input=False)[0]
        return f"`{'.'.join(map(str, first['loc']))}`: {first['msg']}"
    return "it is no JSON" if isinstance(exc, json.JSONDecodeError | RecursionError) else str(exc)


def _joined(sections: list[Recording], name: str) -> Recording:
    """The first section with the others below it."""
    known = {sections[0].id: (sections[0], 1)}
    for one in sections[1:]:
        if one.id in known or one.header.parent not in known:
            raise InvalidInput(f"{name}: run {one.id} belongs to no run of the recording")
        above, depth = known[one.header.parent]
        if depth == MOST_BELOW:
            raise InvalidInput(f"{name}: run {one.id} stands more than {MOST_BELOW} runs deep")
        above.children.append(one)
        known[one.id] = one, depth + 1
    return sections[0]


async def keep(runs: RunStore, recording: Recording, principal: str) -> bool:
    """Store a run that came from a file as one of `principal`'s; False where it is there already. Raises Conflict.

    It stands below no run that is here already, whatever it names. One that had not ended is kept as cancelled: nobody
    may go on by himself with what somebody else has written.
    """

    def work(connection: sqlite3.Connection) -> bool:
        row = connection.execute("SELECT principal FROM runs WHERE id = ?", (recording.id,)).fetchone()
        if row is not None:
            mine = connection.execute("SELECT data FROM run_events WHERE run = ? ORDER BY seq", (recording.id,))
            if row[0] == principal and [decode(one[0]) for one in mine] == recording.events:
                return False
            raise Conflict(f"run {recording.id} is here already and is not quite the same: use it by its id")
        for one in recording.all():
            _insert(connection, one, principal, None if one is recording else one.header.parent)
        return True

    return await runs.store.write(work)


def _insert(connection: sqlite3.Connection, one: Recording, principal: str, parent: str | None) -> None:
    head = one.header
    status, result = head.status, dict(head.result)
    if status not in _ENDED:
        status, result = "cancelled", {"error": "it was interrupted where it was recorded", "kind": "cancelled"}
    connection.execute(
        "INSERT INTO runs (id, kind, principal, status, created, updated, model, request, result, parent) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(head.id, head.kind, principal, status, head.created, head.updated, head.model),
            *(json.dumps(head.request), json.dumps(result), parent),
        ),
    )
    rows = []
    for event in one.events:
        data = encode(event)
        rows.append((head.id, event.seq, event.ts, event.event, data, zlib.crc32(data.encode())))
    connection.executemany("INSERT INTO run_events (run, seq, ts, kind, data, crc) VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "INSERT INTO run_texts (run, id, created, body) VALUES (?, ?, ?, ?)",
        [(head.id, name, head.updated, text) for name, text in one.texts.items()],
    )


def answered(recording: Recording) -> dict[str, Any]:
    """The stored result, or what the last event says of it."""
    if recording.header.result:
        return recording.header.result
    last = recording.events[-1] if recording.events else None
    return {"response": last.result} if isinstance(last, Finish) else {}
