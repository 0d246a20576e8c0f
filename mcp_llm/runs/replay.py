"""A recorded run, step by step: its requests rebuilt from events, and a provider that gives the recorded replies."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import BudgetExceeded, Error, InvalidInput
from mcp_llm.types.chat import Delta, End
from mcp_llm.types.events import Budget, Compacted, ModelEnd, ModelStart, TextEvent, ThinkingEvent, ToolEnd
from mcp_llm.types.message import Opaque, Text, Value

from .history import History

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from mcp_llm.types.chat import ChatRequest, ChatResponse, Chunk
    from mcp_llm.types.events import Event
    from mcp_llm.types.message import Message, Part

SHOWN: Final = 2000
"""Characters of each side of a difference."""


class Difference(Value):
    """One place where two runs part: the step (None: the run as a whole), what of it, and both sides as text."""

    step: int | None
    where: str
    recorded: str
    found: str


class Departed(InvalidInput):
    """A request, or a call, that the recorded run never made."""

    kind = "departed"

    def __init__(self, difference: Difference) -> None:
        self.difference = difference
        place = f"step {difference.step}" if difference.step is not None else "its end"
        super().__init__(f"{difference.where} differs from {place} of the recorded run")


class RecordEnds(Error):
    """The recorded run went no further: it was cut off here, or failed here for a reason from outside."""

    kind = "record_ends"


@dataclass(frozen=True, slots=True)
class Step:
    """One model call: what was asked, what came back (None: never stored), and what the tools it called answered.

    `model` is who answered. `asked` and `replied` are its events, `after` those that follow until the next model call,
    words left out; `compacted` is the history that was made shorter before it, `words` what came of a reply that was
    never stored.
    """

    index: int
    request: ChatRequest
    asked: ModelStart
    replied: ModelEnd | None = None
    after: tuple[Event, ...] = ()
    compacted: Compacted | None = None
    words: str = ""

    @property
    def response(self) -> ChatResponse | None:
        """The reply."""
        return self.replied.response if self.replied is not None else None

    @property
    def provider(self) -> str | None:
        """Who answered, or was asked."""
        return (self.replied.provider if self.replied is not None else None) or self.asked.provider

    @property
    def model(self) -> str | None:
        """The model that answered, or was asked."""
        return (self.replied.model if self.replied is not None else None) or self.asked.model

    @property
    def tools(self) -> tuple[ToolEnd, ...]:
        """What its calls came to."""
        return tuple(event for event in self.after if isinstance(event, ToolEnd))

    @property
    def stopped(self) -> Budget | None:
        """The limit that ended the run here."""
        return next((event for event in self.after if isinstance(event, Budget) and event.stopped), None)


def steps(events: Iterable[Event]) -> list[Step]:
    """The model calls of a run in order; a call that was made again after a crash is one step."""
    history, found = History(), list[Step]()
    after: list[list[Event]] = []
    words: list[list[str]] = []
    shorter: Compacted | None = None
    for event in events:
        again = isinstance(event, ModelStart) and history.asking is not None and history.asking.step == event.step
        history.take(event)
        if isinstance(event, ModelStart):
            if again:
                before, _, _ = found.pop(), after.pop(), words.pop()
                shorter = shorter or before.compacted
            found.append(Step(len(found), history.request(), event, compacted=shorter))
            after.append([])
            words.append([])
            shorter = None
        elif isinstance(event, Compacted):
            shorter = event
        elif isinstance(event, ModelEnd) and found:
            found[-1] = replace(found[-1], replied=event)
        elif isinstance(event, TextEvent) and found and found[-1].replied is None:
            words[-1].append(event.text)
        elif found and not isinstance(event, TextEvent | ThinkingEvent):
            after[-1].append(event)
    return [
        replace(step, after=tuple(events), words="" if step.replied else "".join(said))
        for step, events, said in zip(found, after, words, strict=True)
    ]


def difference(step: int, recorded: ChatRequest, found: ChatRequest) -> Difference | None:
    """Where the words, the calls and their results, or the tools of two requests differ; not the model.

    Left out are opaque state, who wrote a message, and settings that a model may refuse.
    """

    def differs(where: str, one: Any, other: Any) -> Difference | None:
        return None if one == other else Difference(step=step, where=where, recorded=shown(one), found=shown(other))

    said = differs("the system text", recorded.system or "", found.system or "")
    said = said or differs("the tools", *([tool.name for tool in one.tools] for one in (recorded, found)))
    if said is not None:
        return said
    for number, (one, other) in enumerate(zip(recorded.messages, found.messages, strict=False), 1):
        if one is not other and (one.role, _bare(one)) != (other.role, _bare(other)):
            return differs(f"message {number}", *(shown([item.role, *_bare(item)]) for item in (one, other)))
    return differs(
        "the number of messages",
        *(f"{len(one.messages)} messages, last: {_last(one)}" for one in (recorded, found)),
    )


def _bare(message: Message) -> list[Part]:
    """The parts without what is good for one model only."""
    parts: list[Any] = [part for part in message.parts if not isinstance(part, Opaque)]
    return [part if getattr(part, "echo", None) is None else replace(part, echo=None) for part in parts]


def shown(value: Any) -> str:
    """As text, the middle of a long one left out."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], Text):
        value = f"{value[0]}: {value[1].text}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_plain)
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]} [...] {text[-SHOWN // 2 :]}"


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def _last(request: ChatRequest) -> str:
    parts = request.messages[-1].parts if request.messages else ()
    words = " ".join(part.text if isinstance(part, Text) else part.type for part in parts)
    return words[:200]


class ReplayBackend:
    """A provider that answers the requests of a recorded run, in their order, with the recorded replies; offline.

    Raises Departed for a request that the run did not make at this step, BudgetExceeded where a limit ended it, and
    RecordEnds where it has no further reply.
    """

    def __init__(self, recorded: Sequence[Step]) -> None:
        self.asked = 0
        """Requests that were answered."""
        self._recorded = recorded

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        """The recorded reply, part by part."""
        if self.asked >= len(self._recorded):
            raise RecordEnds(f"the recorded run has {len(self._recorded)} model calls; this would be another one")
        step = self._recorded[self.asked]
        if (found := difference(step.index, step.request, request)) is not None:
            raise Departed(found)
        response = step.response
        if response is None:
            if (limit := step.stopped) is not None:
                if step.words:
                    yield Delta(0, Text(step.words))
                raise BudgetExceeded(limit.message or "a limit ended the recorded run here", limit=limit.limit)
            raise RecordEnds(f"step {step.index} of the recorded run has no stored reply")
        self.asked += 1
        for slot, part in enumerate(response.message.parts):
            yield Delta(slot, part)
        yield End(
            stop=response.stop,
            stop_raw=response.stop_raw,
            usage=response.usage,
            model=response.model or model,
            id=response.id,
            note=response.note,
            extras=response.extras,
        )
