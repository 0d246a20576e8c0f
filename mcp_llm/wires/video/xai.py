"""xAI's `/videos/generations`: a request id at once, the film's URL once it is done; it cannot be called off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mcp_llm.types.usage import Usage
from mcp_llm.types.video import Job
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.counts import amount, dollars
from mcp_llm.wires.whole import body, checked, link, parsed

if TYPE_CHECKING:
    from mcp_llm.types.video import VideoRequest


class Quirks(base.Quirks):
    """Where it is."""

    path: str = "/videos/generations"
    job_path: str = "/videos/{job}"


def submit(request: VideoRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """Pictures go as URLs, those from here as data URLs."""
    data: dict[str, Any] = {"model": model, "prompt": request.prompt}
    if request.seconds is not None:
        data["duration"] = request.seconds
    if request.ratio is not None:
        data["aspect_ratio"] = request.ratio
    if request.resolution is not None:
        data["resolution"] = request.resolution
    if request.image is not None:
        data["image"] = {"url": link(request.image)}
    if request.references:
        data["reference_images"] = [{"url": link(one)} for one in request.references]
    return base.HttpRequest(method="POST", path=quirks.path, json=merge(data, request.options), once=True)


def submitted(reply: base.HttpReply) -> str:
    """The request id."""
    job = body(reply)["request_id"]
    if not isinstance(job, str) or not job:
        raise TypeError("request_id")
    return job


def poll(job: str, quirks: Quirks) -> base.HttpRequest:
    """Answered with 202 until it is done."""
    return base.HttpRequest(method="GET", path=quirks.job_path.format(job=quote(job, safe="")))


def state(reply: base.HttpReply) -> Job:
    """`done` has a film, unless a filter stopped it; an empty 202 says that it is being made."""
    if reply.status == 202 and not reply.body.strip():
        return Job("running")
    data = parsed(reply)
    status, film = data.get("status"), data.get("video") or {}
    if status == "failed":
        error = data.get("error") or {}  # the job's, not the request's
        return Job("failed", message=error.get("message") or error.get("code") or "the provider does not say why")
    if status == "expired":
        return Job("expired", message="the job has expired")
    if status == "done" or (status is None and film.get("url")):
        if film.get("respect_moderation") is False:
            return Job("failed", message="a content filter stopped the film")
        usage = Usage(seconds=amount(film.get("duration")), usd=dollars(data.get("usage")))
        return Job("ended", 100, url=film["url"], usage=usage, model=data.get("model"))
    checked(data, reply)
    return Job("running", data.get("progress"))


def cancel(job: str, quirks: Quirks) -> base.HttpRequest | None:
    """There is no way."""
    return None
