"""What the dialects of embedding have in common: how much goes into one request, and vectors brought into order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.errors import Garbled
from mcp_llm.types.embed import Vectors
from mcp_llm.wires import base

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.types.embed import EmbedRequest, Vector
    from mcp_llm.types.usage import Usage


class Quirks(base.Quirks):
    """How much one request may hold; a call with more texts is several requests."""

    max_inputs: int = 100
    """Texts of one request."""
    max_characters: int = 300_000
    """Characters of one request together; where vendors count tokens, as many characters are never more of them."""


def ordered(
    found: Sequence[tuple[int, Vector]], request: EmbedRequest, usage: Usage, model: str | None, id: str | None = None
) -> Vectors:
    """One vector for each text, by index. Raises Garbled where some are missing or of another length."""
    by_index = dict(found)
    if len(found) != len(request.texts) or set(by_index) != set(range(len(request.texts))):
        raise Garbled(f"{len(found)} vectors came for {len(request.texts)} texts, so no text has its own for certain")
    if len({len(vector) for vector in by_index.values()}) != 1:
        raise Garbled("vectors of different lengths came for the texts of one request")
    return Vectors([by_index[index] for index in range(len(found))], usage, model, id)
