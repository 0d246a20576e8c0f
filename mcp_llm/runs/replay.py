"""A recorded run without its cost: its requests rebuilt from events, and a provider that gives the recorded replies."""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mcp_llm.errors import InvalidInput
from mcp_llm.types.chat import Delta, End
from mcp_llm.types.events import ModelEnd, ModelStart, ToolEnd
from mcp_llm.types.message import PART, Opaque

from .history import History

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from mcp_llm.types.chat import ChatRequest, ChatResponse, Chunk
    from mcp_llm.types.events import Event


@dataclass(frozen=True, slots=True)
class Step:
    """One model call: what was asked, what came back (None: never stored), and what the tools it called answered."""

    index: int
    seq: int
    request: ChatRequest
    response: ChatResponse | None
    provider: str | None
    model: str | None
    tools: tuple[ToolEnd, ...] = ()


def steps(events: Iterable[Event]) -> list[Step]:
    """The model calls of a run in order; a call that was made again after a crash is one step."""
    history, found = History(), list[Step]()
    for event in events:
        again = isinstance(event, ModelStart) and history.asking is not None and history.asking.step == event.step
        history.take(event)
        if isinstance(event, ModelStart):
            if again:
                found.pop()
            found.append(Step(len(found), event.seq, history.request(), None, event.provider, event.model))
        elif isinstance(event, ModelEnd) and found:
            last = found[-1]
            found[-1] = replace(
                last,
                response=event.response,
                provider=event.provider or last.provider,
                model=event.model or last.model,
            )
        elif isinstance(event, ToolEnd) and found:
            found[-1] = replace(found[-1], tools=(*found[-1].tools, event))
    return found


def digest(request: ChatRequest) -> str:
    """What makes two requests the same question: the words, the calls and their results, the tools; not the model.

    Left out are opaque state, who wrote a message, and settings that a model may refuse.
    """
    told = hashlib.sha256()
    told.update((request.system or "").encode("utf-8", "replace"))
    told.update(repr(sorted(tool.name for tool in request.tools)).encode())
    for message in request.messages:
        told.update(message.role.encode())
        for part in message.parts:
            if not isinstance(part, Opaque):
                told.update(repr(PART.dump_python(part, exclude={"echo"})).encode("utf-8", "replace"))
    return told.hexdigest()


class ReplayBackend:
    """A provider that answers each recorded request with its recorded reply, offline. Same request again: next reply.

    Raises InvalidInput for a request that the run never made, saying from which step on it is another run.
    """

    def __init__(self, recorded: Sequence[Step]) -> None:
        self._replies: defaultdict[str, deque[ChatResponse]] = defaultdict(deque)
        self._recorded = recorded
        for step in recorded:
            if step.response is not None:
                self._replies[digest(step.request)].append(step.response)

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        """The recorded reply, part by part."""
        replies = self._replies.get(digest(request))
        if not replies:
            raise InvalidInput(self._difference(request))
        response = replies.popleft()
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

    def _difference(self, request: ChatRequest) -> str:
        count = len(request.messages)
        near = [step for step in self._recorded if len(step.request.messages) == count]
        if not near:
            return f"the recorded run made no request of {count} messages: it went another way from here on"
        step = near[0]
        if digest(step.request) == digest(request):
            return f"step {step.index} of the recorded run has no stored reply, or it was given already"
        for index, (ours, theirs) in enumerate(zip(request.messages, step.request.messages, strict=True)):
            if digest(request.model_copy(update={"messages": (ours,)})) != digest(
                request.model_copy(update={"messages": (theirs,)})
            ):
                return f"message {index + 1} of this request differs from step {step.index} of the recorded run"
        return f"the system text or the tools differ from step {step.index} of the recorded run"
