"""The tool `generate_video`: a film as a file, linked; a run from the start, since it takes minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import anyio
from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_llm.runs.detach import Running, run_detachable
from mcp_llm.server import result as results
from mcp_llm.server.made import OUTPUT, Making, told
from mcp_llm.video import Films

from .published import publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.types import CallToolResult

    from mcp_llm.server.run import Run
    from mcp_llm.types.video import Filmed


class VideoArguments(Making):
    """One line each: every word is read by the calling model in every conversation."""

    prompt: str
    """What happens."""
    image: Annotated[str | None, Field(description="first picture: path, URL, data URI")] = None
    references: Annotated[list[str] | None, Field(description="pictures of who or what occurs")] = None
    seconds: Annotated[int | None, Field(ge=1)] = None
    """How long it shall be."""
    ratio: Annotated[str | None, Field(description="16:9")] = None
    resolution: Annotated[str | None, Field(description="720p")] = None


async def run_generate_video(given: VideoArguments, run: Run) -> CallToolResult:
    """Order it, and wait as long as the host does."""
    runs = run.service.journals
    begun, left = anyio.Event(), anyio.Event()

    async def work() -> Filmed:
        try:
            return await Films(run.service, runs).make(
                given.prompt,
                image=given.image,
                references=given.references or (),
                seconds=given.seconds,
                ratio=given.ratio,
                resolution=given.resolution,
                begun=begun.set,
                stays=left.is_set,
                **given.call(run),
            )
        finally:
            begun.set()

    async def detach(_: Callable[[], Any]) -> Running | None:
        await begun.wait()
        if runs.driven(run.run_id) is None:  # it is over already
            return None
        left.set()
        return Running(run.run_id)

    with run.beating():
        done = await run_detachable(run.life.tasks, work, deadline_s=run.inline(given.wait_s), detach=detach)
    return results.running(done) if isinstance(done, Running) else told(done.value, run.host.result_chars)


GENERATE_VIDEO = publish(
    run_generate_video,
    VideoArguments,
    name="generate_video",
    title="Make a film",
    description="Make a short film from words and pictures; takes minutes. The reply links to the file.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False),
)
