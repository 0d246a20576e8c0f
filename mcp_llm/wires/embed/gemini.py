"""Google's `:batchEmbedContents`, and `:embedContent` where only one text goes into a request (Vertex)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.types.embed import numbers
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.chat.gemini import Place, request_path
from mcp_llm.wires.counts import first, table
from mcp_llm.wires.whole import body, untaken

from . import quirks as common

if TYPE_CHECKING:
    from mcp_llm.types.embed import EmbedRequest, Vectors

SPELLINGS: Final[dict[str, str]] = {"taskType": "input_type", "task_type": "input_type"}

TASKS: Final[dict[str, str]] = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "similarity": "SEMANTIC_SIMILARITY",
}


class Quirks(common.Quirks, Place):
    """Whether several texts go into one request."""

    batch: bool = True
    """False: `:embedContent`, one text a request (Vertex); then `max_inputs` is 1."""


def encode(request: EmbedRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """One request of the batch for each text."""
    one: dict[str, Any] = {}
    if request.input_type is not None:
        one["taskType"] = TASKS[request.input_type]
    if request.dimensions is not None:
        one["outputDimensionality"] = request.dimensions
    warnings = untaken(request, ("truncate",), model)
    named = {"model": f"models/{model.removeprefix('models/')}"} if quirks.batch else {}
    texts = [merge({**named, "content": {"parts": [{"text": text}]}, **one}, request.options) for text in request.texts]
    method, data = ("batchEmbedContents", {"requests": texts}) if quirks.batch else ("embedContent", texts[0])
    return base.HttpRequest(method="POST", path=request_path(model, method, quirks), json=data, warnings=warnings)


def decode(reply: base.HttpReply, request: EmbedRequest, quirks: Quirks) -> Vectors:
    """Vectors in the order of the requests. Older models do not say what they counted."""
    data = body(reply)
    values = data["embeddings"] if "embeddings" in data else [data["embedding"]]
    tokens = first(table(data, "usageMetadata").get("promptTokenCount"))
    usage = Usage(input=tokens, output=None if tokens is None else 0)
    return common.ordered([(at, numbers(one["values"])) for at, one in enumerate(values)], request, usage, None)
