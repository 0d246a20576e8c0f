"""OpenAI's `/embeddings`, and everybody's who imitates it: Mistral, Voyage, Perplexity, OpenRouter, local servers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, Literal

from mcp_llm.types.embed import numbers
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.counts import dollars, first, table
from mcp_llm.wires.whole import body, raw, untaken

from . import quirks as common

if TYPE_CHECKING:
    from mcp_llm.types.embed import EmbedRequest, Vector, Vectors
    from mcp_llm.types.message import Json

SPELLINGS: Final[dict[str, str]] = {"encoding_format": "encoding", "input_type": "input_type", "truncation": "truncate"}


class Quirks(common.Quirks):
    """What imitations of the dialect disagree on."""

    max_inputs: int = 2048
    path: str = "/embeddings"
    dimensions_field: str = "dimensions"
    input_type_field: str | None = None
    """Field that says what the texts are for (Voyage: `input_type`); None: there is none."""
    input_types: dict[str, str] | None = None
    """The vendor's words for them; None: our own."""
    truncate_field: str | None = None
    encoding: Literal["base64", "float"] | None = "base64"
    """`encoding_format`; None is not sent. Packed numbers are a fourth of the bytes and of the time to read them."""
    packed: Literal["f", "b"] = "f"
    """What base64 holds: little-endian floats, or one byte a number (Perplexity)."""


def encode(request: EmbedRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """Texts go as a list, also one alone."""
    data: dict[str, Any] = {"model": model, "input": list(request.texts)}
    warnings: list[str] = []
    if request.dimensions is not None:
        data[quirks.dimensions_field] = request.dimensions
    if request.input_type is not None:
        kinds = quirks.input_types
        word = request.input_type if kinds is None else kinds.get(request.input_type)
        if quirks.input_type_field is None or word is None:
            warnings.append(f"`input_type` {request.input_type!r} was not sent: {model} has no word for it")
        else:
            data[quirks.input_type_field] = word
    if quirks.truncate_field is None:
        warnings += untaken(request, ("truncate",), model)
    elif request.truncate is not None:
        data[quirks.truncate_field] = request.truncate
    if quirks.encoding is not None:
        data["encoding_format"] = quirks.encoding
    return base.HttpRequest(method="POST", path=quirks.path, json=merge(data, request.options), warnings=warnings)


def decode(reply: base.HttpReply, request: EmbedRequest, quirks: Quirks) -> Vectors:
    """Vectors by `index`; where a server leaves it out, in the order they came."""
    data = body(reply)
    found = [(item.get("index", place), _vector(item["embedding"], quirks)) for place, item in enumerate(data["data"])]
    return common.ordered(found, request, _usage(table(data, "usage")), data.get("model"), data.get("id"))


def _vector(value: Json, quirks: Quirks) -> Vector:
    if not isinstance(value, str):
        return numbers(value)
    packed = raw(value)
    if quirks.packed == "b":
        return numbers(packed, "b")
    if len(packed) % 4:
        raise ValueError("packed numbers that end in the middle of one")
    return numbers(struct.unpack(f"<{len(packed) // 4}f", packed), "f")


def _usage(told: dict[str, Any]) -> Usage:
    tokens = first(told.get("prompt_tokens"), told.get("total_tokens"))
    return Usage(input=tokens, output=None if tokens is None else 0, usd=dollars(told))
