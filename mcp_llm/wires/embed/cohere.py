"""Cohere's `/v2/embed`, which has to be told what the texts are for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.types.embed import numbers
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.counts import first, table
from mcp_llm.wires.whole import body

from . import quirks as common

if TYPE_CHECKING:
    from mcp_llm.types.embed import EmbedRequest, Vectors

SPELLINGS: Final[dict[str, str]] = {"truncate": "truncate"}

KINDS: Final[dict[str, str]] = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
    "similarity": "clustering",
}


class Quirks(common.Quirks):
    """Its limit of texts."""

    max_inputs: int = 96
    """`texts` of one request (v2/embed reference)."""


def encode(request: EmbedRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """Texts are documents where nothing else was said: the vendor refuses a request that does not say."""
    data: dict[str, Any] = {
        "model": model,
        "input_type": KINDS[request.input_type or "document"],
        "embedding_types": ["float"],
        "texts": list(request.texts),
    }
    if request.dimensions is not None:
        data["output_dimension"] = request.dimensions
    if request.truncate is not None:
        data["truncate"] = "END" if request.truncate else "NONE"
    return base.HttpRequest(method="POST", path="/v2/embed", json=merge(data, request.options))


def decode(reply: base.HttpReply, request: EmbedRequest, quirks: Quirks) -> Vectors:
    """The floats, in the order of the texts."""
    data = body(reply)
    found = data["embeddings"]
    found = found if isinstance(found, list) else next(iter(found[kind] for kind in ("float", *found) if kind in found))
    tokens = first(table(table(data, "meta"), "billed_units").get("input_tokens"))
    usage = Usage(input=tokens, output=None if tokens is None else 0)
    return common.ordered([(at, numbers(one)) for at, one in enumerate(found)], request, usage, None, data.get("id"))
