"""Google's `:batchGenerateContent`: requests and results inline, one long-running operation.

https://ai.google.dev/gemini-api/docs/batch-mode: at most 20 MB inline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.wires.base import HttpReply, HttpRequest
from mcp_llm.wires.chat.gemini import Place, request_path
from mcp_llm.wires.reply import parse
from mcp_llm.wires.whole import checked

from . import contract
from .contract import Entry, Result, State, each

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

_STATUS: Final[dict[str, contract.Status]] = {
    "SUCCEEDED": "ended",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
}


class Quirks(contract.Quirks, Place):
    """What fits inline."""

    max_bytes: int = 20_000_000


def submit(entries: Sequence[Entry], model: str, quirks: Quirks) -> Generator[HttpRequest, HttpReply, State]:
    """One request with all of them."""
    requests = [{"request": one.request.json, "metadata": {"key": one.key}} for one in entries]
    batch = {"displayName": "mcp-llm", "inputConfig": {"requests": {"requests": requests}}}
    path = request_path(model, "batchGenerateContent", quirks)
    made = yield HttpRequest("POST", path, json={"batch": batch}, once=True)
    return state(made)


def poll(batch_id: str, quirks: Quirks) -> HttpRequest:
    """`GET /{version}/batches/{id}`; the id has `batches/` in it already."""
    return HttpRequest("GET", f"/{quirks.version}/{_checked(batch_id)}")


def state(reply: HttpReply) -> State:
    """`metadata.state` is `BATCH_STATE_...` or, in older replies, `JOB_STATE_...`."""
    data = _operation(reply)
    about = data.get("metadata") or {}
    status = _STATUS.get(str(about.get("state") or data.get("state")).rpartition("_STATE_")[2], "running")
    stats = about.get("batchStats") or {}
    done = [int(stats[name]) for name in ("successfulRequestCount", "failedRequestCount") if stats.get(name)]
    total = stats.get("requestCount")
    name = _checked(str(data["name"]))
    error = data.get("error") or {}
    if error and status == "running":
        status = "failed"
    return State(
        name,
        status,
        done=sum(done) if stats else None,
        total=None if total is None else int(total),
        places=(name,) if status in {"ended", "cancelled", "expired"} else (),
        message=error.get("message"),
    )


def reading(state: State, quirks: Quirks) -> list[HttpRequest]:
    """The results are in the operation itself."""
    return [poll(place, quirks) for place in state.places]


def results(reply: HttpReply) -> Iterator[Result]:
    """`{metadata: {key}, response | error}`."""
    data = _operation(reply)
    inline = ((data.get("response") or {}).get("inlinedResponses") or {}).get("inlinedResponses") or []
    return each(inline, _result)


def _result(one: Any) -> Result:
    key = str(one["metadata"]["key"])
    if "response" in one:
        return Result(key, 200, one["response"])
    return Result(key, _http(one["error"]), {"error": one["error"]})


def cancel(batch_id: str, quirks: Quirks) -> HttpRequest:
    """`POST /{version}/batches/{id}:cancel`."""
    return HttpRequest("POST", f"/{quirks.version}/{_checked(batch_id)}:cancel", json={})


def _operation(reply: HttpReply) -> Any:
    """The operation; its own `error` is the batch's and no error of the request."""
    data = parse(reply.body)
    return data if isinstance(data, dict) and "name" in data else checked(data, reply)


def _checked(batch_id: str) -> str:
    """The name as a path. Raises ValueError for one that would lead elsewhere."""
    head, _, rest = batch_id.partition("/")
    if head != "batches" or not rest.replace("-", "").replace("_", "").isalnum():
        raise ValueError("the batch has a name that is none")
    return batch_id


def _http(error: Any) -> int | None:
    """The HTTP status of an error; Google's own codes (below 17) say it in `status`, which `failures` reads."""
    code = error.get("code")
    return code if isinstance(code, int) and code >= 400 else None
