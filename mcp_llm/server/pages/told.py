"""An event as a page shows it: what a person wants to see of it, in bounded size. Pure.

What the models were sent is left out (it repeats itself at every step); the words of a reply are told once, either as
they came or, when the reply is whole, with it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.types.events import Compacted, ModelEnd, ModelStart, TextEvent, ThinkingEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_llm.types.events import Event

SHOWN: Final = 6000
"""Characters of one text in one event; the run keeps all of it."""


def told(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The events of one run, in order. Words that a whole reply repeats are left to the reply."""
    found: list[dict[str, Any]] = []
    coming: list[int] = []
    for event in events:
        if isinstance(event, ModelEnd):
            for place in reversed(coming):
                del found[place]
        if isinstance(event, TextEvent | ThinkingEvent):
            coming.append(len(found))
        elif isinstance(event, ModelEnd | ModelStart):
            coming = []
        found.append(one(event))
    return found


def one(event: Event) -> dict[str, Any]:
    """A single event: `event`, `run_id`, `seq`, `ts` and its own fields; what is unknown is left out."""
    head = {"event": event.event, "run_id": event.run_id, "seq": event.seq, "ts": event.ts}
    if isinstance(event, ModelStart):
        return head | _kept({"step": event.step, "model": event.model, "provider": event.provider})
    if isinstance(event, ModelEnd):
        return head | _reply(event)
    if isinstance(event, Compacted):
        return head | _kept({"reason": event.reason, "messages": len(event.messages)})
    data = event.model_dump(mode="json", exclude_none=True, exclude={"v", "ts", "run_id", "seq", "event", "parts"})
    return head | {name: _short(value) for name, value in data.items()}


def cut(text: str, most: int = SHOWN) -> str:
    """The text, or its first part and how much more there is."""
    return text if len(text) <= most else f"{text[:most]}\n… {len(text) - most:,} more characters"


def _reply(event: ModelEnd) -> dict[str, Any]:
    message = event.response.message
    thinking = "\n".join(part.text for part in message.parts if part.type == "thinking" and part.text)
    return _kept(
        {
            "step": event.step,
            "model": event.model,
            "provider": event.provider,
            "text": cut(event.response.text) or None,
            "thinking": cut(thinking) or None,
            "calls": [call.name for call in message.tool_calls] or None,
            "stop": event.response.stop,
            "usage": event.usage.model_dump(mode="json", exclude_none=True),
            "cost": event.cost.model_dump(mode="json"),
            "latency_ms": event.latency_ms,
            "first_token_ms": event.first_token_ms,
        }
    )


def _short(value: Any) -> Any:
    """JSON of little text as it is, of much as the beginning of that text."""
    if isinstance(value, str):
        return cut(value)
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= SHOWN else cut(text)


def _kept(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}
