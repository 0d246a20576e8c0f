"""A run for a page: its whole tree, what is new since the last look, what it asks, what it has spent of what it may.

Read only, and only what belongs to the principal. `after` is where the last look ended, as the look before gave it.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from mcp_llm.errors import Error, InvalidInput
from mcp_llm.runs import wait

from .told import cut, told

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.runs.store import RunInfo

MOST: Final = 400
ROOM: Final = 300_000
"""Events in one look, and their characters as JSON; a host carries at most 1 MiB in one message."""
LONG: Final = 200_000
"""Characters of one part of a result that are shown."""
AGENTS: Final = ("agent", "delegate", "agent.bound")
LISTED: Final = 100


async def listed(app: App, principal: str, *, status: str | None = None, kind: str | None = None) -> dict[str, Any]:
    """The newest runs; those that are part of another are shown with it alone."""
    found = await app.journals.list(principal, status, LISTED, roots=True, brief=True)
    return {"runs": [row(info) for info in found if kind in (None, info.kind)], "now": _now()}


async def looked(app: App, principal: str, run_id: str, after: str = "", wait_s: float = 0.0) -> dict[str, Any]:
    """A look at the run. With `wait_s` it waits so long for something new. Raises InvalidInput for an unknown run."""
    before = _positions(after)

    async def look() -> list[tuple[RunInfo, int]] | None:
        family = await app.journals.family(run_id, principal)
        return family if _state(family) != before else None

    family = await wait.until(app.journals, run_id, look, wait_s)
    if family is None:
        return {"after": after, "now": _now()}
    seen = {name: seq for name, seq, _ in before}
    events: list[dict[str, Any]] = []
    reached: list[str] = []
    room = ROOM
    for info, last in family:
        start = seen.get(info.id, -1)
        new = await app.journals.events(info.id, start) if start < last and room > 0 else []
        kept, end = new[:MOST], start
        for event in told(kept):
            if room <= 0:
                break
            room -= len(json.dumps(event, ensure_ascii=False))
            events.append(event)
            end = event["seq"]
        # Until all of it is told its status is not: the next look then has something new.
        reached.append(f"{info.id}.{end}.{info.status if end >= last else ''}")
    more = any(place.endswith(".") for place in reached)
    events.sort(key=lambda event: (event["ts"], event["run_id"], event["seq"]))
    root = await app.journals.get(run_id, principal)
    return {
        "run": row(root) | {"prompts": [cut(str(one)) for one in _prompts(root)]},
        "result": _result(root),
        "partial": (await app.journals.partial(run_id))[-LONG:] if root.live and root.kind not in AGENTS else "",
        "tree": [row(info) for info, _ in family],
        "events": events,
        "more": more,
        "questions": await _questions(app, root),
        "budget": await _budget(app, root),
        "after": "~".join(reached),
        "now": _now(),
    }


def row(info: RunInfo) -> dict[str, Any]:
    """A run in a list or a tree."""
    request = info.request
    prompt = next(iter(_prompts(info)), None)
    if prompt is None and isinstance(workflow := request.get("workflow"), dict):
        prompt = workflow.get("name")
    said = info.result.get("response") or info.result.get("error") or info.result.get("partial")
    cost = info.result.get("cost")
    found = {
        "id": info.id,
        "kind": "agent" if info.kind in AGENTS else info.kind,
        "status": info.status,
        "model": info.result.get("model_used") or info.model or info.result.get("model"),
        "provider": info.result.get("provider"),
        "agent": request.get("persona") or request.get("agent"),
        "prompt": cut(str(prompt), 300) if prompt else None,
        "says": cut(" ".join(str(said)[:400].split()), 160) if said else None,
        "usd": cost.get("usd") if isinstance(cost, dict) else None,
        "latency_ms": info.result.get("latency_ms"),
        "parent": info.parent,
        "created": info.created,
        "updated": info.updated,
    }
    return {name: value for name, value in found.items() if value is not None}


def _prompts(info: RunInfo) -> list[Any]:
    """What was asked, as the run's kind keeps it."""
    kept = [info.request, arguments] if isinstance(arguments := info.request.get("arguments"), dict) else [info.request]
    found = [one[name] for one in kept for name in ("prompt", "prompts") if one.get(name)]
    return next((one if isinstance(one, list) else [one] for one in found), [])


def _result(info: RunInfo) -> dict[str, Any] | None:
    """What came of it; long texts are cut, and say so, and what has no place is left out, and counted."""
    if not info.result:
        return None
    found = {name: _bounded(value) for name, value in info.result.items() if name != "results"}
    if isinstance(results := info.result.get("results"), list):
        share = max(400, LONG // max(1, len(results)))
        rows = [
            {name: _bounded(value, share) for name, value in one.items()} if isinstance(one, dict) else one
            for one in results
        ]
        found["results"] = rows[: ROOM // (2 * share) + 1]
        found["omitted"] = len(rows) - len(found["results"])
    return found


def _bounded(value: Any, most: int = LONG) -> Any:
    """A text in so many characters; any other JSON whole, or not at all."""
    if isinstance(value, str):
        return cut(value, most)
    return value if len(json.dumps(value)) <= most else None


async def _questions(app: App, root: RunInfo) -> list[dict[str, Any]]:
    """What waits for an answer now."""
    if not root.live:
        return []
    asked = [one for one in await app.journals.questions(root.id) if one.open]
    return [{**one.question, "id": one.id, "deadline": one.deadline} for one in asked]


async def _budget(app: App, root: RunInfo) -> dict[str, Any] | None:
    """What an agent's run may use, and what calls in flight hold of its dollars; None where nothing is known."""
    if root.kind not in AGENTS:
        return None
    from mcp_llm.agent import prepare
    from mcp_llm.agent.task import Task

    try:
        limits = prepare.limits(app, Task.model_validate(root.request))
    except (Error, ValidationError):
        return None
    used = await app.purse.ledger.used("run", root.id)
    return {"limits": limits.model_dump(exclude_none=True), "held_usd": float(used.held_usd)}


def _state(family: list[tuple[RunInfo, int]]) -> list[tuple[str, int, str]]:
    return [(info.id, last, info.status) for info, last in family]


def _positions(after: str) -> list[tuple[str, int, str]]:
    """What `after` says. Raises InvalidInput."""
    found = []
    for piece in after.split("~") if after else ():
        name, number, status = [*piece.rsplit(".", 2), "", ""][:3]
        if not number.removeprefix("-").isdecimal() or len(number) > 18:
            raise InvalidInput("`after` is what an earlier look gave; leave it out to see all")
        found.append((name, int(number), status))
    return found


def _now() -> int:
    return time.time_ns() // 1_000_000
