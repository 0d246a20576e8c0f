"""What a run that was cut off may do next, read from its events. Decides; does nothing itself.

A completed step is never repeated. A model call without its reply may be made once more. A tool that was started and
has no result is called again only where that does no harm, by its own hints; any other may have run, and the caller is
told so and decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_llm.types.events import ModelStart, Resumed

from .history import History

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_llm.types.events import Event, ToolStart
    from mcp_llm.types.message import ToolCall


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands.

    `ask_again` is True when a model call was cut off, `asked` how often it was begun; `to_call` are calls of the last
    reply that may be made (never begun, or harmless to repeat), in its order; `may_have_run` those that may not.
    """

    history: History
    last_seq: int
    ask_again: bool
    asked: int
    to_call: tuple[ToolCall, ...]
    may_have_run: tuple[ToolStart, ...]
    resumed: int

    @property
    def ended(self) -> bool:
        """True when there is nothing to go on with."""
        return self.history.end is not None


def standing(events: Iterable[Event]) -> Standing:
    """Fold the events of a run, all of them, in order."""
    history, last, asked, resumed = History(), -1, 0, 0
    for event in events:
        if isinstance(event, ModelStart):
            asked = asked + 1 if history.asking is not None and history.asking.step == event.step else 1
        elif isinstance(event, Resumed):
            resumed += 1
        history.take(event)
        last = event.seq
    waiting = [call for call in history.calls if call.id not in history.results] if history.asking is None else []
    unsure = [
        history.started[call.id]
        for call in waiting
        if call.id in history.started and not history.started[call.id].repeatable
    ]
    names = {one.call_id for one in unsure}
    return Standing(
        history=history,
        last_seq=last,
        ask_again=history.asking is not None and history.end is None,
        asked=asked if history.asking is not None else 0,
        to_call=tuple(call for call in waiting if call.id not in names),
        may_have_run=tuple(unsure),
        resumed=resumed,
    )
