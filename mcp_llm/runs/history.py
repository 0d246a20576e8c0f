"""The conversation of a run, folded from its events: what models were asked and said, what tools answered. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_llm.types.chat import ChatRequest
from mcp_llm.types.events import Compacted, ErrorEvent, Finish, ModelEnd, ModelStart, Start, ToolEnd, ToolStart
from mcp_llm.types.message import Message, Text, ToolResult

if TYPE_CHECKING:
    from mcp_llm.types.events import Event
    from mcp_llm.types.message import ToolCall


@dataclass(slots=True)
class History:
    """Take events in order; the fields then say where the run stands.

    `messages` ends with the last reply until all its calls are answered and the next request is made; `asking` is a
    request whose reply is not stored; `started` and `results` belong to the calls of the last reply, by call id.
    """

    messages: list[Message] = field(default_factory=list)
    settings: ChatRequest | None = None
    replies: int = 0
    start: Start | None = None
    asking: ModelStart | None = None
    calls: tuple[ToolCall, ...] = ()
    started: dict[str, ToolStart] = field(default_factory=dict)
    results: dict[str, ToolEnd] = field(default_factory=dict)
    end: Finish | ErrorEvent | None = None

    def take(self, event: Event) -> None:
        """The next event."""
        if isinstance(event, Start):
            self.start = event
        elif isinstance(event, ModelStart):
            self._answer()
            if self.asking is None or self.asking.step != event.step:
                self.messages.extend(event.messages)  # asked again after a crash: they are there already
            self.settings = event.settings or self.settings
            self.asking = event
        elif isinstance(event, ModelEnd):
            self.asking = None
            self.replies += 1
            self.messages.append(event.response.message)
            self.calls = event.response.message.tool_calls
            self.started, self.results = {}, {}
        elif isinstance(event, ToolStart):
            self.started[event.call_id] = event
        elif isinstance(event, ToolEnd):
            self.results[event.call_id] = event
        elif isinstance(event, Compacted):
            self.messages = list(event.messages)
            self.calls, self.started, self.results = (), {}, {}
        elif isinstance(event, Finish | ErrorEvent):
            self.end = event

    def _answer(self) -> None:
        if message := self.answers():
            self.messages.append(message)
        self.calls, self.started, self.results = (), {}, {}

    def answers(self) -> Message | None:
        """The results of the last reply's calls as the message that follows it, in the order asked."""
        found = [result(self.results[call.id], call) for call in self.calls if call.id in self.results]
        return Message(role="user", parts=tuple(found)) if found else None

    def request(self) -> ChatRequest:
        """The request that is, or would be, made now."""
        messages = tuple(self.messages)
        return (self.settings or ChatRequest(messages=())).model_copy(update={"messages": messages})


def result(event: ToolEnd, call: ToolCall) -> ToolResult:
    """A tool's answer as the model is given it."""
    parts = event.parts
    if parts is None:
        text = event.result if isinstance(event.result, str) else json.dumps(event.result, ensure_ascii=False)
        parts = (Text(text),)
    return ToolResult(call.id, call.name, parts, is_error=event.is_error)
