"""What a run asks a person, and the answer: rows that outlive the process that asked."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput

if TYPE_CHECKING:
    import sqlite3

ALL: Final = "SELECT id, asked, deadline, question, answer, answered FROM run_questions WHERE run = ? ORDER BY asked"


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `answer` is JSON and None until it came, `deadline` epoch milliseconds."""

    id: str
    asked: int
    deadline: int | None
    question: dict[str, Any]
    answer: Any
    answered: int | None

    @property
    def open(self) -> bool:
        """True while an answer still counts."""
        return self.answered is None and (self.deadline is None or self.deadline > time.time_ns() // 1_000_000)


def read(row: tuple[Any, ...]) -> Question:
    """A row of ALL."""
    name, asked, deadline, question, answer, answered = row
    return Question(
        name, asked, deadline, json.loads(question), None if answer is None else json.loads(answer), answered
    )


def put(connection: sqlite3.Connection, row: tuple[Any, ...]) -> bool:
    """Store `(run, id, asked, deadline, question)`; one that was asked before, by a process now gone, is kept.

    False where it has been answered meanwhile: then nobody waits.
    """
    connection.execute(
        "INSERT INTO run_questions (run, id, asked, deadline, question) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (run, id) DO UPDATE SET deadline = excluded.deadline WHERE answered IS NULL",
        row,
    )
    found = connection.execute("SELECT answered IS NULL FROM run_questions WHERE run = ? AND id = ?", row[:2])
    return bool(found.fetchone()[0])


def answer(connection: sqlite3.Connection, run_id: str, question_id: str | None, text: str) -> str:
    """Write the answer; the first one counts. Raises InvalidInput."""
    found = [read(row) for row in connection.execute(ALL, (run_id,))]
    waiting = asked_now = [one for one in found if one.open]
    if question_id is not None:
        waiting = [one for one in waiting if one.id == question_id]
    if asked_now and not waiting:
        listed = ", ".join(one.id for one in asked_now)
        raise InvalidInput(f"run {run_id} does not ask this now: name one of {listed} with `question`")
    if not waiting:
        asked = "this" if question_id is not None and found else "anything"
        raise InvalidInput(f"run {run_id} does not ask {asked} now: it was answered, its deadline passed, or it ended")
    if len(waiting) > 1:
        listed = ", ".join(one.id for one in waiting)
        raise InvalidInput(f"run {run_id} asks {len(waiting)} things: name one of {listed} with `question`")
    now = time.time_ns() // 1_000_000
    connection.execute(
        "UPDATE run_questions SET answer = ?, answered = ? WHERE run = ? AND id = ?", (text, now, run_id, waiting[0].id)
    )
    # It waits for nobody now; whoever asks for its state before its driver wakes up is to know.
    connection.execute(
        "UPDATE runs SET status = 'running' WHERE id = ?1 AND status = 'waiting' AND NOT EXISTS (SELECT 1 FROM "
        "run_questions WHERE run = ?1 AND answered IS NULL AND (deadline IS NULL OR deadline > ?2))",
        (run_id, now),
    )
    return waiting[0].id
