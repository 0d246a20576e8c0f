"""The beginning of a run that the tests of what was left of one share: what it was asked, and a reply with calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import Thinking, ToolCall, assistant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.types.events import Event

SETTINGS = ChatRequest(messages=(), system="be brief", tools=(ToolSpec(name="read"), ToolSpec(name="write")))
CALLS = assistant(
    Thinking("hm", {"signature": "s"}), ToolCall("a", "read", "{}"), ToolCall("b", "write", "{}"), ToolCall("c", "read")
)


def numbered(events: Sequence[Event]) -> list[Event]:
    """The events as a store would have numbered them."""
    return [event.model_copy(update={"seq": number}) for number, event in enumerate(events)]
