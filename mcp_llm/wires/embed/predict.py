"""Vertex's `:predict` of embedding models: instances in, predictions out, billed by characters or tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.types.embed import numbers
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.chat.gemini import Place, request_path
from mcp_llm.wires.counts import first, table, total
from mcp_llm.wires.whole import body

from . import quirks as common
from .gemini import TASKS

if TYPE_CHECKING:
    from mcp_llm.types.embed import EmbedRequest, Vectors

SPELLINGS: Final[dict[str, str]] = {"task_type": "input_type", "autoTruncate": "truncate"}


class Quirks(common.Quirks, Place):
    """Its limit of texts."""

    max_inputs: int = 250


def encode(request: EmbedRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """One instance for each text."""
    task = {} if request.input_type is None else {"task_type": TASKS[request.input_type]}
    parameters: dict[str, Any] = {}
    if request.dimensions is not None:
        parameters["outputDimensionality"] = request.dimensions
    if request.truncate is not None:
        parameters["autoTruncate"] = request.truncate
    data: dict[str, Any] = {"instances": [{"content": text, **task} for text in request.texts]}
    if parameters:
        data["parameters"] = parameters
    return base.HttpRequest(
        method="POST", path=request_path(model, "predict", quirks), json=merge(data, request.options)
    )


def decode(reply: base.HttpReply, request: EmbedRequest, quirks: Quirks) -> Vectors:
    """Vectors in the order of the instances; the tokens are told for each."""
    found = [one["embeddings"] for one in body(reply)["predictions"]]
    counts = [first(table(one, "statistics").get("token_count")) for one in found]
    tokens = None if None in counts else total(*counts)
    usage = Usage(input=tokens, output=None if tokens is None else 0)
    return common.ordered([(at, numbers(one["values"])) for at, one in enumerate(found)], request, usage, None)
