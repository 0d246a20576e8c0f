"""OpenAI's batches, also Groq's: a file of JSON lines is uploaded, a batch made of it, files of results are read.

https://platform.openai.com/docs/guides/batch: at most 50,000 requests and 200 MB, answered within 24 hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mcp_llm.wires.base import Field, HttpReply, HttpRequest
from mcp_llm.wires.whole import body

from . import contract
from .contract import Entry, Result, State, lines, packed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

_STATUS: Final[dict[str, contract.Status]] = {
    "completed": "ended",
    "failed": "failed",
    "expired": "expired",
    "cancelled": "cancelled",
}


class Quirks(contract.Quirks):
    """What is put before a path inside of the file."""

    prefix: str = "/v1"
    """The paths in the file begin with it, whatever the base URL ends with."""


def submit(entries: Sequence[Entry], model: str, quirks: Quirks) -> Generator[HttpRequest, HttpReply, State]:
    """Upload the file, then make the batch."""
    url = quirks.prefix + entries[0].request.path
    file = packed([{"custom_id": one.key, "method": "POST", "url": url, "body": one.request.json} for one in entries])
    uploaded = body((yield upload(file)))
    made = yield HttpRequest(
        "POST",
        "/batches",
        json={"input_file_id": uploaded["id"], "endpoint": url, "completion_window": "24h"},
        once=True,
    )
    return state(made)


def upload(file: bytes) -> HttpRequest:
    """The file, for a batch."""
    form = [Field("purpose", "batch"), Field("file", file, filename="batch.jsonl", mime="application/jsonl")]
    return HttpRequest("POST", "/files", form=form)


def poll(batch_id: str, quirks: Quirks) -> HttpRequest:
    """`GET /batches/{id}`."""
    return HttpRequest("GET", f"/batches/{quote(batch_id, safe='')}")


def state(reply: HttpReply) -> State:
    """Its files are there once it has ended; one is for answers, one for errors."""
    data = body(reply)
    counts = data.get("request_counts") or {}
    done = None if counts.get("completed") is None else counts["completed"] + (counts.get("failed") or 0)
    faults = (data.get("errors") or {}).get("data") or []
    return State(
        str(data["id"]),
        _STATUS.get(data["status"], "running"),
        done=done,
        total=counts.get("total") or None,
        places=tuple(str(data[name]) for name in ("output_file_id", "error_file_id") if data.get(name)),
        message="; ".join(str(one.get("message")) for one in faults[:3]) or None,
    )


def reading(state: State, quirks: Quirks) -> list[HttpRequest]:
    """The contents of its files."""
    return [HttpRequest("GET", f"/files/{quote(place, safe='')}/content") for place in state.places]


def results(reply: HttpReply) -> Iterator[Result]:
    """`{custom_id, response: {status_code, body}, error}`; an error without a response never reached a model."""
    return lines(reply, _result)


def _result(line: Any) -> Result:
    response: dict[str, Any] = line.get("response") or {}
    if response:
        return Result(str(line["custom_id"]), response["status_code"], response["body"])
    return Result(str(line["custom_id"]), None, {"error": line["error"]})


def cancel(batch_id: str, quirks: Quirks) -> HttpRequest:
    """`POST /batches/{id}/cancel`."""
    return HttpRequest("POST", f"/batches/{quote(batch_id, safe='')}/cancel", json={})
