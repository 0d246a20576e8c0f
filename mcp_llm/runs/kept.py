"""Values as a run's row keeps them: JSON text, and what came of a run as its last event says it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp_llm.types.events import ErrorEvent
from mcp_llm.types.text import unbroken

if TYPE_CHECKING:
    from mcp_llm.types.events import Finish


def dumps(value: Any) -> str:
    """JSON text that UTF-8 can say, whatever strings a caller gave."""
    return unbroken(json.dumps(value, ensure_ascii=False, default=str))


def result_of(event: Finish | ErrorEvent) -> dict[str, Any]:
    """The result of a run that ended so, as JSON."""
    if isinstance(event, ErrorEvent):
        told = {"error": event.error, "kind": event.kind, "partial": event.partial}
        return {key: value for key, value in told.items() if value is not None}
    whole = event.result if isinstance(event.result, dict) else {"response": event.result}
    more = event.model_dump(mode="json", include={"usage", "cost", "stop_reason"}, exclude_none=True)
    return {**more, **whole}


def loaded(text: str | None) -> dict[str, Any] | None:
    """What a column holds, nothing for an empty one; None for one that is damaged: the other runs are to be seen."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
