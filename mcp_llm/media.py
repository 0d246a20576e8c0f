"""The other operations from Python, sync and async: plain functions over the same Service as `generate`.

Each gives the whole result: the words in `response`, its receipt, and what was made as values and files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from mcp_llm.background import background, opened
from mcp_llm.llm import embed as embedding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.llm.doing import Call
    from mcp_llm.types.embed import Embedded, InputType


async def aembed(
    input: str | Sequence[str],
    *,
    dimensions: int | None = None,
    input_type: InputType | None = None,
    truncate: bool | None = None,
    continue_from: str | None = None,
    **call: Unpack[Call],
) -> Embedded:
    """Vectors of texts, in their order: `.embeddings` are arrays of numbers. Raises the errors of `mcp_llm.errors`.

    `dimensions` is how long they shall be, `input_type` what they are for (`query`, `document`, ...); `truncate` False
    refuses texts that are too long. `continue_from` is what the error of the same call named, when it failed on the
    way. `model`, `context`, `budget_usd`, `timeout_s` and `options` are as in `agenerate_result`.
    """
    return await embedding.embed(
        await opened.get(),
        input,
        dimensions=dimensions,
        input_type=input_type,
        truncate=truncate,
        continue_from=continue_from,
        **call,
    )


def embed(input: str | Sequence[str], **arguments: Any) -> Embedded:
    """`aembed` for code that is not async; works inside a running event loop too (and blocks it)."""
    return background.call(lambda: aembed(input, **arguments))
