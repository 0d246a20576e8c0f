"""A comparison that is never lost: a run once the host can wait no longer, with the answers that have landed so far.

Gone on with, it keeps every answer and verdict that was stored; only what was under way is asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput
from mcp_llm.types.events import Finish, Resumed, Start, TextEvent

from .lasting import KEPT, lasting, size

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.compare.asked import Comparison
    from mcp_llm.compare.result import Compared, Result
    from mcp_llm.llm.service import Service
    from mcp_llm.runs.detach import Running
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunInfo

    from .run import Run


KIND: Final = "compare_models"


@dataclass(slots=True)
class Landed:
    """The answers that have landed: in memory at first, in the journal from the moment there is one."""

    texts: list[str]
    journal: Journal | None = None

    async def take(self, result: Result) -> None:
        """One more."""
        from mcp_llm.compare import table

        text = "\n\n".join(table.answers([result])) + "\n\n"
        if self.journal is None:
            self.texts.append(text)
        else:
            self.journal.note(TextEvent(text=text, model=result.model))

    def move(self, journal: Journal) -> None:
        """From now on into this journal, and what came before as well."""
        self.journal = journal
        for text in self.texts:
            journal.note(TextEvent(text=text))
        self.texts.clear()


async def compare_lasting(
    run: Run, ask: Comparison, arguments: dict[str, Any], wait_s: float | None
) -> Compared | Running:
    """The comparison, or the run it has become when the caller's patience was over."""
    from mcp_llm.compare.operation import compare

    landed = Landed([])

    async def work() -> Compared:
        return await compare(run.service, ask, run_id=run.run_id, progress=run.progress, on_result=landed.take)

    return await lasting(
        run,
        work,
        start=begun(ask),
        request={"arguments": arguments if size(arguments) <= KEPT else None},
        finish=finished,
        recorder=landed,
        wait_s=wait_s,
    )


def begun(ask: Comparison) -> Start:
    """The first event."""
    first = next(iter(ask.prompts), ask.prompt or "")
    return Start(prompt=str(first), model=", ".join(ask.models), kind=KIND)


def finished(compared: Compared) -> Finish:
    """The last event; its `response` is the whole text, to be read page by page."""
    from mcp_llm.compare import table

    whole = compared.model_copy(update={"response": table.whole(compared)})
    return Finish(result=whole.model_dump(mode="json", exclude_none=True), cost=compared.cost)


@dataclass(slots=True)
class Onward:
    """Goes on with a comparison whose process is gone."""

    service: Service
    read: Callable[[dict[str, Any], str], Comparison]
    """Arguments as the tool takes them, and whose call it is, as what is compared."""
    automatic: bool = False

    async def check(self, info: RunInfo, again: bool) -> None:
        """Only where the arguments were kept."""
        if not info.request.get("arguments"):
            raise InvalidInput(f"run {info.id} was too long to be kept whole: make the call again")

    async def drive(self, journal: Journal) -> dict[str, Any]:
        """Ask for what is missing - all of it, where nothing has happened yet - and conclude."""
        from mcp_llm.compare.operation import compare

        ask = self.read(journal.request["arguments"], journal.principal)
        if journal.seq < 0:
            await journal.append(begun(ask))
        else:
            await journal.append(Resumed(after=journal.seq, attempt=journal.attempts))
        landed = Landed([])
        landed.move(journal)
        given = await compare(self.service, ask, run_id=journal.run_id, on_result=landed.take, again=True)
        last = finished(given)
        await journal.finish(last)
        result: dict[str, Any] = last.result
        return result
