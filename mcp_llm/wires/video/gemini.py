"""Google's Interactions, asked for a film in the background: steps in the end, of which one holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mcp_llm.types.usage import Usage
from mcp_llm.types.video import Job
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.counts import first, table, total
from mcp_llm.wires.whole import body, parsed, raw

if TYPE_CHECKING:
    from mcp_llm.types.message import Json, Media
    from mcp_llm.types.video import Status, VideoRequest

STATES: Final[dict[str, Status]] = {
    "completed": "ended",
    "failed": "failed",
    "incomplete": "failed",
    "budget_exceeded": "failed",
    "requires_action": "failed",
    "cancelled": "cancelled",
}


class Quirks(base.Quirks):
    """The API's version."""

    version: str = "v1beta"


def submit(request: VideoRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """The film comes with the answer, so that nothing has to be fetched with a key."""
    form: dict[str, Any] = {"type": "video", "delivery": "inline"}
    if request.ratio is not None:
        form["aspect_ratio"] = request.ratio
    if request.resolution is not None:
        form["resolution"] = request.resolution
    if request.seconds is not None:
        form["duration"] = f"{request.seconds}s"
    pictures = [*([request.image] if request.image else []), *request.references]
    data: dict[str, Any] = {
        "model": model,
        "input": [*map(_picture, pictures), {"type": "text", "text": request.prompt}],
        "background": True,
        "store": True,
        "response_format": form,
    }
    if pictures:
        task = "image_to_video" if request.image else "reference_to_video"
        data["generation_config"] = {"video_config": {"task": task}}
    path = f"/{quirks.version}/interactions"
    return base.HttpRequest(method="POST", path=path, json=merge(data, request.options), once=True)


def _picture(media: Media) -> dict[str, Any]:
    where = {"uri": media.url} if media.data is None else {"data": media.data}
    return {"type": "image", "mime_type": media.mime, **where}


def submitted(reply: base.HttpReply) -> str:
    """The interaction's id."""
    job = body(reply)["id"]
    if not isinstance(job, str) or not job:
        raise TypeError("id")
    return job


def poll(job: str, quirks: Quirks) -> base.HttpRequest:
    """The interaction as it stands."""
    return base.HttpRequest(method="GET", path=f"/{quirks.version}/interactions/{quote(job, safe='')}")


def state(reply: base.HttpReply) -> Job:
    """The last film of its steps; without one, what the model said instead."""
    data = parsed(reply)
    status = STATES.get(data["status"], "running")
    if status == "running":
        return Job("running")
    contents = [one for step in data.get("steps") or () for one in _contents(step)]
    film = data.get("output_video") or next((one for one in contents[::-1] if one.get("type") == "video"), None)
    if status == "ended" and film is None:
        said = " ".join(one["text"] for one in contents if one.get("type") == "text" and one.get("text"))
        return Job("failed", message=f"no film was made: {said[:500]}" if said else "no film was made")
    if status != "ended" or film is None:
        errors = [str(one.get("message") or one) for one in data.get("errors") or ()]
        return Job(status, message="; ".join(errors)[:1000] or f"the provider says {data['status']}")
    packed = film.get("data")
    return Job(
        "ended",
        100,
        data=None if packed is None else raw(packed),
        url=film.get("uri"),
        usage=_usage(table(data, "usage")),
        model=data.get("model"),
    )


def _contents(step: Json) -> list[dict[str, Any]]:
    return step.get("content") or [] if step.get("type") == "model_output" else []


def _usage(told: dict[str, Any]) -> Usage:
    thought, written = first(told.get("total_thought_tokens")), first(told.get("total_output_tokens"))
    film = sum(
        first(one.get("tokens")) or 0
        for one in told.get("output_tokens_by_modality") or ()
        if str(one.get("modality", "")).lower() == "video"
    )
    asked = first(told.get("total_input_tokens"))
    return Usage(
        # What its own tools found is read as well, and counted beside the prompt.
        input=None if asked is None else asked + (first(told.get("total_tool_use_tokens")) or 0),
        output=total(written, thought),
        cached=first(told.get("total_cached_tokens")),
        reasoning=thought,
        output_video=film or None,
    )


def cancel(job: str, quirks: Quirks) -> base.HttpRequest | None:
    """The interaction's own way."""
    return base.HttpRequest(method="POST", path=f"/{quirks.version}/interactions/{quote(job, safe='')}/cancel")
