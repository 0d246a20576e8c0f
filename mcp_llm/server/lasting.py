"""Calls that are never lost: as cheap as before while the host waits, a run with a journal once it cannot.

`generate` is such a call; who may ask again after its process died is here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from mcp_llm.errors import Conflict, InvalidInput, StoreError
from mcp_llm.runs.detach import Finished, Outcome, Running, run_detachable
from mcp_llm.runs.ending import cancel, fail, finished
from mcp_llm.runs.recorder import Recorder
from mcp_llm.types.events import Resumed, Start
from mcp_llm.types.message import Text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.llm.generate import Ask
    from mcp_llm.llm.service import Service
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunInfo
    from mcp_llm.types.events import Finish
    from mcp_llm.types.result import Generated

    from .run import Run

T = TypeVar("T")

KIND: Final = "generate"
KEPT: Final = 1024 * 1024
"""Characters of arguments kept with a detached call, so that it can be asked again; a longer call cannot be."""


class Recording(Protocol):
    """Keeps what has come: in memory at first, in the journal from the moment there is one."""

    journal: Journal | None

    def move(self, journal: Journal) -> None:
        """From now on into this journal, and what came before as well."""


async def lasting(
    run: Run,
    work: Callable[[], Awaitable[T]],
    *,
    start: Start,
    request: dict[str, Any],
    finish: Callable[[T], Finish],
    recorder: Recording,
    wait_s: float | None,
) -> T | Running:
    """What the work gives, or the run it has become when the caller's patience was over. Raises what the work raises.

    No journal is written before that moment: then it gets `start`, `request` for whoever resumes it, and what
    `recorder` was given; at the end `finish` makes the last event, whose result the tool `runs` shows.
    """
    runs = run.service.journals

    async def detach(stop: Callable[[], None]) -> Running | None:
        kind = start.kind or KIND
        try:
            journal = await runs.create(
                kind, request, run.principal, run_id=run.run_id, model=start.model, created=run.started_ms
            )
            await journal.append(start)
        except (Conflict, StoreError):  # it has just ended; or the disk fails: then it is waited for, however long
            return None
        journal.on_stop = stop
        recorder.move(journal)
        return Running(run.run_id, journal.partial)

    async def settle(outcome: Outcome[T]) -> None:
        if (journal := recorder.journal) is None:
            return
        if outcome.error is not None:
            await fail(journal, outcome.error)
        elif not outcome.cancelled:
            await journal.finish(finish(outcome.value))  # type: ignore[arg-type]  # it ended well: there is a value
        elif journal.cancel_requested:
            await cancel(journal)
        else:
            await journal.release()  # the server ends: the run stays, and says that it was interrupted

    with run.beating():
        given = await run_detachable(
            run.life.tasks, work, deadline_s=run.inline(wait_s), detach=detach, settle=settle, hurry=run.desk.hurried
        )
    return given.value if isinstance(given, Finished) else given


async def ask_lasting(run: Run, ask: Ask, arguments: dict[str, Any], wait_s: float | None) -> Generated | Running:
    """`generate` so; `arguments` are the tool's, kept for asking again."""
    from mcp_llm.llm.generate import generate

    recorder = Recorder()

    async def work() -> Generated:
        return await generate(run.service, ask, run_id=run.run_id, progress=run.progress, on_chunks=recorder.take)

    return await lasting(
        run,
        work,
        start=Start(prompt=spoken(ask), model=ask.model, kind=KIND),
        request={"arguments": arguments if size(arguments) <= KEPT else None},
        finish=finished,
        recorder=recorder,
        wait_s=wait_s,
    )


def spoken(ask: Ask) -> str:
    """The words of the prompt."""
    pieces = [ask.prompt] if isinstance(ask.prompt, str) else ask.prompt
    return "\n".join(
        piece if isinstance(piece, str) else piece.text for piece in pieces if isinstance(piece, str | Text)
    )


def size(value: Any) -> int:
    """About how many characters arguments have; no text is written for it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(size, value.values()))
    return sum(map(size, value)) if isinstance(value, list) else 8


@dataclass(slots=True)
class Again:
    """Asks again what a detached call had asked. Never by itself: its answer may have been paid for and lost."""

    service: Service
    read: Callable[[dict[str, Any], str], Ask]
    """Arguments as the tool takes them, and whose call it is, as what is asked."""
    automatic: bool = False

    async def check(self, info: RunInfo, again: bool) -> None:
        """Only with the user's word, and only where the arguments were kept."""
        if not info.request.get("arguments"):
            raise InvalidInput(f"run {info.id} was too long to be kept whole: make the call again")
        if not again:
            raise InvalidInput(
                f"run {info.id} was cut off before its answer was stored; the provider may have been paid. "
                f'What had arrived: runs(action="read", run_id="{info.id}"). '
                f'To ask again: runs(action="resume", run_id="{info.id}", again=true)'
            )

    async def drive(self, journal: Journal) -> dict[str, Any]:
        """Ask, from the beginning."""
        from mcp_llm.llm.generate import generate

        ask = self.read(journal.request["arguments"], journal.principal)
        await journal.append(Resumed(after=journal.seq, attempt=journal.attempts))
        recorder = Recorder()
        recorder.move(journal)
        result = await generate(self.service, ask, run_id=journal.run_id, on_chunks=recorder.take)
        await journal.finish(finished(result))
        return result.model_dump(mode="json", exclude_none=True)
