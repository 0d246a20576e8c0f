"""Ollama's `/api/embed`; the older `/api/embeddings` answers with one vector, which is read too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.types.embed import numbers
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.counts import first
from mcp_llm.wires.whole import body, untaken

from . import quirks as common

if TYPE_CHECKING:
    from mcp_llm.types.embed import EmbedRequest, Vectors

SPELLINGS: Final[dict[str, str]] = {"truncate": "truncate"}


class Quirks(common.Quirks):
    """A server on this machine takes any number of texts; smaller requests show how far it is."""

    max_inputs: int = 64


def encode(request: EmbedRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """`truncate` False makes it refuse what is too long instead of cutting it."""
    data: dict[str, Any] = {"model": model, "input": list(request.texts)}
    if request.truncate is not None:
        data["truncate"] = request.truncate
    if request.dimensions is not None:
        data["dimensions"] = request.dimensions
    warnings = untaken(request, ("input_type",), model)
    return base.HttpRequest(method="POST", path="/api/embed", json=merge(data, request.options), warnings=warnings)


def decode(reply: base.HttpReply, request: EmbedRequest, quirks: Quirks) -> Vectors:
    """Vectors in the order of the texts."""
    data = body(reply)
    found = data["embeddings"] if "embeddings" in data else [data["embedding"]]
    tokens = first(data.get("prompt_eval_count"))
    usage = Usage(input=tokens, output=None if tokens is None else 0)
    return common.ordered([(at, numbers(one)) for at, one in enumerate(found)], request, usage, data.get("model"))
