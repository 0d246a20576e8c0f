"""Mistral's batch jobs: the file and the results are like OpenAI's, the job around them is its own.

https://docs.mistral.ai/capabilities/batch/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from mcp_llm.wires.base import HttpReply, HttpRequest
from mcp_llm.wires.whole import body

from . import contract, openai
from .contract import Entry, State, packed
from .openai import reading, results

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

__all__ = ["Quirks", "cancel", "poll", "reading", "results", "state", "submit"]

_STATUS: Final[dict[str, contract.Status]] = {
    "SUCCESS": "ended",
    "FAILED": "failed",
    "TIMEOUT_EXCEEDED": "expired",
    "CANCELLED": "cancelled",
}


class Quirks(openai.Quirks):
    """A million requests a job; the vendor's own number."""

    max_items: int = 1_000_000


def submit(entries: Sequence[Entry], model: str, quirks: Quirks) -> Generator[HttpRequest, HttpReply, State]:
    """Upload the file, then make the job; the model is the job's."""
    file = packed([{"custom_id": one.key, "body": _without_model(one)} for one in entries])
    uploaded = body((yield openai.upload(file)))
    made = yield HttpRequest(
        "POST",
        "/batch/jobs",
        json={
            "input_files": [uploaded["id"]],
            "endpoint": quirks.prefix + entries[0].request.path,
            "model": model,
            "timeout_hours": 24,
        },
        once=True,
    )
    return state(made)


def poll(batch_id: str, quirks: Quirks) -> HttpRequest:
    """`GET /batch/jobs/{id}`."""
    return HttpRequest("GET", f"/batch/jobs/{quote(batch_id, safe='')}")


def state(reply: HttpReply) -> State:
    """How the job stands."""
    data = body(reply)
    return State(
        str(data["id"]),
        _STATUS.get(data["status"], "running"),
        done=data.get("completed_requests"),
        total=data.get("total_requests"),
        places=tuple(str(data[name]) for name in ("output_file", "error_file") if data.get(name)),
        message="; ".join(str(one.get("message")) for one in (data.get("errors") or [])[:3]) or None,
    )


def cancel(batch_id: str, quirks: Quirks) -> HttpRequest:
    """`POST /batch/jobs/{id}/cancel`."""
    return HttpRequest("POST", f"/batch/jobs/{quote(batch_id, safe='')}/cancel", json={})


def _without_model(entry: Entry) -> dict[str, object]:
    return {name: value for name, value in (entry.request.json or {}).items() if name != "model"}
