"""Every request of the other operations is one that the vendor's own SDK, or its reference, would have written."""

from __future__ import annotations

import re
from typing import Any, Literal, NotRequired

import pytest
from typing_extensions import TypedDict

from mcp_llm.catalog.load import load
from mcp_llm.types.embed import EmbedRequest
from mcp_llm.wires import embed

TEXTS = ("How warm is it?", "\U0001f600 \u2028 é")
EMBED: dict[str, EmbedRequest] = {
    "one": EmbedRequest(texts=TEXTS[:1]),
    "two": EmbedRequest(texts=TEXTS),
    "short": EmbedRequest(texts=TEXTS, dimensions=256),
    "query": EmbedRequest(texts=TEXTS, input_type="query"),
    "similarity": EmbedRequest(texts=TEXTS, input_type="similarity", truncate=False),
}


class CohereEmbed(TypedDict):
    """The vendor's reference, "Embed API (v2)"."""

    model: str
    input_type: Literal["search_document", "search_query", "classification", "clustering", "image"]
    texts: list[str]
    embedding_types: list[Literal["float", "int8", "uint8", "binary", "ubinary", "base64"]]
    output_dimension: NotRequired[int]
    truncate: NotRequired[Literal["NONE", "START", "END"]]


class OllamaEmbed(TypedDict):
    """docs/api.md of Ollama, "Generate Embeddings"."""

    model: str
    input: str | list[str]
    truncate: NotRequired[bool]
    dimensions: NotRequired[int]


class MistralEmbed(TypedDict):
    """The vendor's reference, "Embeddings Create"; other fields are a 422."""

    model: str
    input: str | list[str]
    output_dimension: NotRequired[int]
    output_dtype: NotRequired[Literal["float", "int8", "uint8", "binary", "ubinary"]]
    encoding_format: NotRequired[Literal["float", "base64"]]


class VoyageEmbed(TypedDict):
    """The vendor's reference, "Text embedding models"."""

    model: str
    input: str | list[str]
    input_type: NotRequired[Literal["query", "document"]]
    truncation: NotRequired[bool]
    output_dimension: NotRequired[int]
    encoding_format: NotRequired[Literal["base64"]]


class GeminiEmbedOne(TypedDict):
    """`EmbedContentRequest` of the REST reference."""

    model: str
    content: Any
    taskType: NotRequired[str]
    title: NotRequired[str]
    outputDimensionality: NotRequired[int]


class GeminiEmbed(TypedDict):
    requests: list[GeminiEmbedOne]


def types_of(target: str) -> Any:
    from openai.types import EmbeddingCreateParams

    return {
        "cohere": CohereEmbed,
        "google": GeminiEmbed,
        "mistral": MistralEmbed,
        "ollama:m": OllamaEmbed,
        "openai": EmbeddingCreateParams,
        "voyage": VoyageEmbed,
    }[target]


@pytest.mark.parametrize("name", EMBED)
@pytest.mark.parametrize("provider", ["cohere", "google", "mistral", "ollama:m", "openai", "voyage"])
def test_embedding_bodies_are_of_the_vendors_types(provider: str, name: str, sdk: Any) -> None:
    target = load().find(provider, "embed")
    request = embed.wire(target.wire).encode(EMBED[name], target.model_id, target.quirks)
    assert sdk.walk(request.json, types_of(provider)) == []
    assert re.fullmatch(r"/[A-Za-z0-9/:._%-]+", request.path)
    said = "input_type" in " ".join(request.warnings)
    spelled = any(word in str(request.json) for word in ("RETRIEVAL", "SEMANTIC", "query", "clustering"))
    if EMBED[name].input_type is not None:
        assert said or spelled  # never dropped without a word


@pytest.mark.parametrize("wire", embed.WIRES)
def test_options_are_merged_last(wire: str) -> None:
    module = embed.wire(wire)
    request = EmbedRequest(texts=("a",), options={"title": "t", "model": "x"})
    body = module.encode(request, "m", module.Quirks()).json or {}
    inner = body["requests"][0] if wire == "gemini" else body
    assert (inner["title"], inner["model"]) == ("t", "x")


def test_google_is_told_what_the_texts_are_for_in_its_words() -> None:
    target = load().find("google", "embed")
    request = embed.wire("gemini").encode(EMBED["query"], target.model_id, target.quirks)
    assert request.path == "/v1beta/models/gemini-embedding-2:batchEmbedContents"
    assert request.json == {
        "requests": [
            {
                "model": "models/gemini-embedding-2",
                "content": {"parts": [{"text": text}]},
                "taskType": "RETRIEVAL_QUERY",
            }
            for text in TEXTS
        ]
    }
