"""The tool `embed`: texts to vectors, as a file that programs read; numbers in the reply only where asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_llm.errors import InvalidInput
from mcp_llm.llm.embed import EMBED as OPERATION
from mcp_llm.llm.embed import embed
from mcp_llm.server.arguments import Name
from mcp_llm.server.made import OUTPUT, Making, make
from mcp_llm.types.embed import InputType

from .published import publish

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mcp.types import CallToolResult

    from mcp_llm.server.run import Run
    from mcp_llm.types.embed import Embedded

MOST_INLINE = 4096
"""Numbers that a reply may hold."""


class EmbedArguments(Making):
    """One line each: every word is read by the calling model in every conversation."""

    input: Annotated[str | list[str], Field(description="text or texts")]
    dimensions: Annotated[int | None, Field(ge=1)] = None
    """How long the vectors shall be."""
    input_type: InputType | None = None
    """What the texts are for."""
    truncate: Annotated[bool | None, Field(description="false refuses texts that are too long")] = None
    inline: Annotated[bool, Field(description="numbers in the reply too, not only in the file")] = False
    continue_from: Annotated[Name | None, Field(description="what the error of a broken call named")] = None


async def run_embed(given: EmbedArguments, run: Run) -> CallToolResult:
    """The vectors are a file; how many and how long they are is the answer."""

    def work() -> Awaitable[Embedded]:
        return embed(
            run.service,
            given.input,
            dimensions=given.dimensions,
            input_type=given.input_type,
            truncate=given.truncate,
            continue_from=given.continue_from,
            keep=True,
            **given.call(run),
        )

    def inline(made: Embedded) -> dict[str, Any]:
        if not given.inline:
            return {}
        if made.count * made.dimensions > MOST_INLINE:
            raise InvalidInput(
                f"{made.count} x {made.dimensions} numbers are too many for a reply (at most {MOST_INLINE}): ask for "
                f"fewer `dimensions`, or read them from {made.files[0].uri}"
            )
        return {"embeddings": [vector.tolist() for vector in made.embeddings]}

    words = given.input[:200] if isinstance(given.input, str) else f"{len(given.input)} texts"
    return await make(run, OPERATION.name, given, words, work, more=inline)


EMBED = publish(
    run_embed,
    EmbedArguments,
    name="embed",
    title="Embed texts",
    description="Turn texts into vectors. They are written to a file; the reply says where.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False),
)
