"""`runs://`: the caller's runs, what each has said, and its events as JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp.types import Annotations, Resource, ResourceTemplate

from mcp_llm.runs.texts import cut
from mcp_llm.runs.words import said
from mcp_llm.server.result import SHOWN
from mcp_llm.server.rows import row

from .address import FRESH_MS, Content

if TYPE_CHECKING:
    from mcp_llm.app import App

    from .address import Address

SCHEME: Final = "runs"
LISTED: Final = 50
PAGE: Final = 400_000
"""Characters of events in one reply; clients of the SDK refuse messages of more than 1 MiB over HTTP."""
ENDED: Final = frozenset({"finished", "failed", "cancelled"})

TEMPLATES: Final = (
    ResourceTemplate(
        uri_template="runs://{id}{?offset}",
        name="run",
        title="A run",
        description="What a run has said, from a character offset on.",
        mime_type="text/plain",
    ),
    ResourceTemplate(
        uri_template="runs://{id}/events{?after}",
        name="run_events",
        title="A run's events",
        description="Everything that happened in a run, as JSON lines, after the event of a number.",
        mime_type="application/jsonl",
    ),
)


async def listed(app: App, principal: str) -> list[Resource]:
    """The list of runs; the runs themselves are completed, not listed: there are too many."""
    annotations = Annotations(audience=["user", "assistant"], priority=0.5)
    return [
        Resource(
            uri="runs://",
            name="runs",
            title="Runs",
            description="What is running or has run, the newest first.",
            mime_type="application/json",
            annotations=annotations,
        )
    ]


async def read(app: App, principal: str, address: Address) -> Content:
    """The list, a run's words, or its events. Raises InvalidInput for a run that is unknown or somebody else's."""
    if not address.path:
        address.only()
        rows = [row(info) for info in await app.journals.list(principal, limit=LISTED, brief=True)]
        return Content(json.dumps({"runs": rows}, ensure_ascii=False))
    run_id, _, part = address.path.partition("/")
    if part == "events":
        return await _events(app, principal, run_id, address.only("after").number("after", -1))
    offset = address.only("offset").number("offset", 0)
    if "." in run_id:
        found, ended = await app.journals.read_text(run_id, principal, offset, SHOWN), True
    else:
        info = await app.journals.get(address.path, principal)
        found, ended = cut(await said(app.journals, info), offset, SHOWN), info.status in ENDED
    following = f"runs://{run_id}?offset={found.end}" if found.more else None
    text = f"{found.text}\n\n[{found.total - found.end:,} more characters: {following}]" if following else found.text
    return Content(text, "text/plain", FRESH_MS if ended else 0, following)


async def _events(app: App, principal: str, run_id: str, after: int) -> Content:
    from mcp_llm.types.events import encode

    info = await app.journals.get(run_id, principal)
    lines: list[str] = []
    size, following = 0, None
    for event in await app.journals.events(run_id, after):
        line = encode(event)
        if lines and size + len(line) > PAGE:
            following = f"runs://{run_id}/events?after={event.seq - 1}"
            break
        lines.append(line)
        size += len(line) + 1
    ended = info.status in ENDED
    return Content("\n".join(lines), "application/jsonl", FRESH_MS if ended else 0, following)


async def mark(app: App, principal: str, address: Address) -> Any:
    """What differs once this resource has changed. Raises InvalidInput for a run that is not the caller's."""
    if not address.path:
        return [(info.id, info.status) for info in await app.journals.list(principal, limit=LISTED, brief=True)]
    return await app.journals.position(address.path.partition("/")[0].partition(".")[0], principal)
