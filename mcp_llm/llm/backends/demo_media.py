"""The demo's other operations: the same small files for the same request, valid and plainly none of a model's.

An embedding here is a hash of the words: texts that share words are near one another, and nothing else is meant by it.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from typing import TYPE_CHECKING, Final

from mcp_llm.types.embed import Vectors
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from mcp_llm.types.embed import EmbedRequest, Vector

DIMENSIONS: Final = 64


async def embed(request: EmbedRequest, model: str) -> Vectors:
    """Unit vectors, each word adding to one number."""
    words = sum(len(text.split()) for text in request.texts)
    size = request.dimensions or DIMENSIONS
    return Vectors([_vector(text, size) for text in request.texts], Usage(input=words, output=0, estimated=True), model)


def _vector(text: str, size: int) -> Vector:
    sums = [0.0] * size
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = hashlib.sha256(word.encode("utf-8", "replace")).digest()
        sums[int.from_bytes(digest[:4], "big") % size] += 1.0
    length = sum(value * value for value in sums) ** 0.5
    return array("d", (round(value / length, 6) for value in sums))
