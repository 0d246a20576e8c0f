"""A run for a page: its whole tree, what is new since the last look, what it asks, what it has spent of what it may.

Read only, and only what belongs to the principal. `after` is where the last look ended, as the look before gave it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from mcp_llm.agent import prepare
from mcp_llm.agent.task import DELEGATE, Task
from mcp_llm.errors import Error, InvalidInput
from mcp_llm.runs import wait

from .told import cut, told

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.runs.store import RunInfo

MOST: Final = 400
"""Events in one look."""
LONG: Final = 200_000
"""Characters of a result that are shown; a host carries at most 1 MiB in one message."""
AGENTS: Final = ("agent", DELEGATE, "agent.bound")
LISTED: Final = 100


async def listed(app: App, principal: str, *, status: str | None = None, kind: str | None = None) -> dict[str, Any]:
    """The newest runs; those that are part of another are shown with it alone."""
    found = await app.journals.list(principal, status, 5 * LISTED)
    rows = [row(info) for info in found if info.parent is None and kind in (None, info.kind)]
    return {"runs": rows[:LISTED], "now": _now()}


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
    more = False
    for info, last in family:
        start = seen.get(info.id, -1)
        if len(events) >= MOST and start < last:
            more = True
            reached.append(f"{info.id}.{start}.")
            continue
        new = await app.journals.events(info.id, start) if start < last else []
        kept = new[:MOST]
        more = more or len(kept) < len(new)
        events += told(kept)
        end = kept[-1].seq if kept else start
        reached.append(f"{info.id}.{end}.{info.status if len(kept) == len(new) else ''}")
    events.sort(key=lambda event: (event["ts"], event["run_id"], event["seq"]))
    root = family[0][0]
    return {
        "run": row(root) | {"prompts": [cut(str(one)) for one in root.request.get("prompts") or ()]},
        "result": _result(root),
        "partial": "" if not root.live else (await app.journals.partial(run_id))[-LONG:],
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
    given = request.get("arguments")
    arguments: dict[str, Any] = given if isinstance(given, dict) else {}
    prompts = request.get("prompts") or arguments.get("prompts") or ()
    prompt = request.get("prompt") or arguments.get("prompt") or next(iter(prompts), None)
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


def _result(info: RunInfo) -> dict[str, Any] | None:
    """What came of it; long texts are cut, and say so."""
    if not info.result:
        return None
    found = dict(info.result)
    if isinstance(results := found.get("results"), list) and info.kind == "compare_models":
        share = max(400, LONG // max(1, len(results)))
        found["results"] = [
            {**one, "response": cut(str(one.get("response") or ""), share), "thinking": None}
            for one in results
            if isinstance(one, dict)
        ]
    return found | {
        name: cut(text, LONG)
        for name in ("response", "thinking", "partial", "error")
        if isinstance(text := found.get(name), str)
    }


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
