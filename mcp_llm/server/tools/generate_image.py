"""The tool `generate_image`: pictures as files, linked, with a view of those that are small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_llm.llm.image import IMAGE, generate_image
from mcp_llm.server.made import OUTPUT, Making, make
from mcp_llm.types.image import Background, Format, Quality

from .published import publish

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mcp.types import CallToolResult

    from mcp_llm.server.run import Run
    from mcp_llm.types.image import Painted


class ImageArguments(Making):
    """One line each: every word is read by the calling model in every conversation."""

    prompt: str
    """What is to be seen."""
    images: Annotated[list[str] | None, Field(description="pictures to change: paths, URLs, data URIs")] = None
    mask: Annotated[str | None, Field(description="picture, transparent where to change")] = None
    n: Annotated[int, Field(ge=1, le=10)] = 1
    """How many."""
    size: Annotated[str | None, Field(description="1024x1024, 16:9, 2K, auto")] = None
    quality: Quality | None = None
    """As far as the model knows it."""
    background: Background | None = None
    """What is behind."""
    format: Format | None = None
    """Of the files."""


async def run_generate_image(given: ImageArguments, run: Run) -> CallToolResult:
    """Make them, as long as the host waits."""

    def work() -> Awaitable[Painted]:
        return generate_image(
            run.service,
            given.prompt,
            images=given.images or (),
            mask=given.mask,
            n=given.n,
            size=given.size,
            quality=given.quality,
            background=given.background,
            format=given.format,
            **given.call(run),
        )

    return await make(run, IMAGE.name, given, given.prompt, work)


GENERATE_IMAGE = publish(
    run_generate_image,
    ImageArguments,
    name="generate_image",
    title="Make a picture",
    description="Make pictures from words, or change given ones. The reply links to the files.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False),
)
