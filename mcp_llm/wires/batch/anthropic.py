"""Anthropic's message batches: one request makes the batch, results are one body of JSON lines in no order.

https://platform.claude.com/docs/en/build-with-claude/batch-processing: at most 100,000 requests and 256 MB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mcp_llm.wires.base import HttpReply, HttpRequest
from mcp_llm.wires.whole import body

from . import contract
from .contract import Entry, Result, State, lines

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

PATH: Final = "/v1/messages/batches"
UNANSWERED: Final = {
    "canceled": "the batch was cancelled before this request was asked",
    "expired": "the batch's 24 hours were over before this request was asked",
}


class Quirks(contract.Quirks):
    """The version that is spoken."""

    max_items: int = 100_000
    max_bytes: int = 256_000_000
    version: str | None = "2026-10-21"
    """The `anthropic-version` header; None sends none."""


def submit(entries: Sequence[Entry], model: str, quirks: Quirks) -> Generator[HttpRequest, HttpReply, State]:
    """One request with all of them."""
    headers = {**_headers(quirks), **entries[0].request.headers}
    requests = [{"custom_id": one.key, "params": one.request.json} for one in entries]
    made = yield HttpRequest("POST", PATH, json={"requests": requests}, headers=headers, once=True)
    return state(made)


def poll(batch_id: str, quirks: Quirks) -> HttpRequest:
    """`GET .../{id}`."""
    return HttpRequest("GET", f"{PATH}/{quote(batch_id, safe='')}", headers=_headers(quirks))


def state(reply: HttpReply) -> State:
    """`in_progress`, `canceling` or `ended`; why it ended is told by each result."""
    data = body(reply)
    counts: dict[str, int] = data.get("request_counts") or {}
    total = sum(counts.values()) or None
    done = None if total is None else total - counts.get("processing", 0)
    ended = data["processing_status"] == "ended"
    return State(
        str(data["id"]),
        "ended" if ended else "running",
        done=done,
        total=total,
        places=(str(data["id"]),) if ended else (),
    )


def reading(state: State, quirks: Quirks) -> list[HttpRequest]:
    """`.../{id}/results`: the same place as `results_url`, which is not followed."""
    return [
        HttpRequest("GET", f"{PATH}/{quote(place, safe='')}/results", headers=_headers(quirks))
        for place in state.places
    ]


def results(reply: HttpReply) -> Iterator[Result]:
    """`{custom_id, result: {type: succeeded|errored|canceled|expired, message | error}}`."""
    return lines(reply, _result)


def _result(line: Any) -> Result:
    key, result = str(line["custom_id"]), line["result"]
    kind = result["type"]
    if kind == "succeeded":
        return Result(key, 200, result["message"])
    return Result(key, None, result.get("error") or {"error": {"type": kind, "message": UNANSWERED.get(kind, kind)}})


def cancel(batch_id: str, quirks: Quirks) -> HttpRequest:
    """`POST .../{id}/cancel`."""
    return HttpRequest("POST", f"{PATH}/{quote(batch_id, safe='')}/cancel", json={}, headers=_headers(quirks))


def _headers(quirks: Quirks) -> dict[str, str]:
    return {"anthropic-version": quirks.version} if quirks.version else {}
