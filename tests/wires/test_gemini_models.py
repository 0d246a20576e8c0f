"""What Google and Ollama say of their models, and Google's token counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.genai import types as vendor

from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import user
from mcp_llm.wires.base import HttpRequest, ModelInfo
from mcp_llm.wires.chat import gemini as chat
from mcp_llm.wires.models import gemini as models
from mcp_llm.wires.models import ollama
from mcp_llm.wires.tokens import gemini as tokens

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = ChatRequest(messages=(user("hi"),), system="s", tools=(ToolSpec(name="now"),), temperature=1.0)


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_googles_list_is_asked_for_page_by_page() -> None:
    assert models.encode(None, models.Quirks()) == HttpRequest(
        method="GET", path="/v1beta/models", query={"pageSize": "1000"}
    )
    quirks = models.Quirks(path="/v1beta1/publishers/google/models", page_size=5)
    assert models.encode("next", quirks) == HttpRequest(
        method="GET", path="/v1beta1/publishers/google/models", query={"pageSize": "5", "pageToken": "next"}
    )


def test_googles_models_are_read_with_their_limits() -> None:
    body = {
        "models": [
            {
                "name": "models/gemini-4-carbon",
                "displayName": "Gemini 4 Carbon",
                "inputTokenLimit": 1048576,
                "outputTokenLimit": 65536,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
            },
            {"name": "models/gemini-embedding-2", "supportedGenerationMethods": ["embedContent"]},
        ],
        "nextPageToken": "t",
    }
    assert models.decode(body) == (
        [
            ModelInfo("gemini-4-carbon", name="Gemini 4 Carbon", context=1048576, output=65536),
            ModelInfo("gemini-embedding-2", can=()),
        ],
        "t",
    )
    assert models.decode({"publisherModels": [{"name": "publishers/google/models/gemini-4-argon"}]}) == (
        [ModelInfo("gemini-4-argon")],
        None,
    )
    assert models.decode({}) == ([], None)


def test_googles_recorded_lists_are_read_whole(tapes: Path) -> None:
    expected = {record["id"]: record for record in _records(tapes / "google-models.expected.jsonl")}
    for case in _records(tapes / "google-models.jsonl"):
        if case["response"]["status"] == 200:
            found, _ = models.decode(json.loads(case["response"]["body"]))
            want = expected[case["id"]]
            assert (len(found), f"models/{found[0].id}") == (want["count"], want["first"])


def test_tokens_are_counted_of_the_request_as_it_would_be_sent() -> None:
    sent = tokens.encode(REQUEST, "gemini-4-carbon", tokens.Quirks())
    body = chat.encode(REQUEST, "gemini-4-carbon", chat.Quirks()).json or {}
    assert sent == HttpRequest(
        method="POST",
        path="/v1beta/models/gemini-4-carbon:countTokens",
        json={"generateContentRequest": {"model": "models/gemini-4-carbon", **body}},
    )
    assert tokens.encode(REQUEST, "gemini-4-carbon", chat.Quirks()) == sent


def test_vertex_counts_tokens_of_the_fields_beside_one_another() -> None:
    quirks = tokens.Quirks(path="/publishers/google/models/{model}:{method}", nested=False)
    sent = tokens.encode(REQUEST, "gemini-4-carbon", quirks)
    assert sent.path == "/publishers/google/models/gemini-4-carbon:countTokens"
    assert (sent.json or {}).keys() == {"contents", "systemInstruction", "tools", "generationConfig"}
    vendor.CountTokensConfig.model_validate(
        {key: value for key, value in (sent.json or {}).items() if key != "contents"}
    )


def test_recorded_token_counts_are_read(tapes: Path) -> None:
    expected = {record["id"]: record for record in _records(tapes / "google-count-tokens.expected.jsonl")}
    for case in _records(tapes / "google-count-tokens.jsonl"):
        if case["response"]["status"] == 200:
            total = tokens.decode(json.loads(case["response"]["body"]))
            assert total == expected[case["id"]]["total_tokens"]


@pytest.mark.parametrize("body", [{}, {"totalTokens": "9"}, []])
def test_a_count_of_another_shape_is_no_number(body: Any) -> None:
    with pytest.raises((KeyError, TypeError)):
        tokens.decode(body)


def test_ollamas_list_is_one_page() -> None:
    assert ollama.encode(None, ollama.Quirks()) == HttpRequest(method="GET", path="/api/tags")
    body = {"models": [{"name": "qwen3:4b", "model": "qwen3:4b", "size": 1}, {"name": "old"}]}
    assert ollama.decode(body) == ([ModelInfo("qwen3:4b"), ModelInfo("old")], None)
    assert ollama.decode({"models": None}) == ([], None)


def test_ollama_shows_window_and_abilities_of_a_model() -> None:
    assert ollama.show("qwen3:4b") == HttpRequest(method="POST", path="/api/show", json={"model": "qwen3:4b"})
    body = {
        "capabilities": ["completion", "tools", "vision", "thinking"],
        "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
    }
    assert ollama.decode_show(body, "qwen3:4b") == ModelInfo(
        "qwen3:4b", context=40960, can=("streaming", "json", "tools", "reasoning"), reads=("image",)
    )
    assert ollama.decode_show({"capabilities": ["embedding"]}) == ModelInfo("", can=(), reads=())
    assert ollama.decode_show({}) == ModelInfo("")


def test_ollamas_recorded_models_have_a_window(tapes: Path) -> None:
    for case in _records(tapes / "ollama-models.jsonl"):
        info = ollama.decode_show(json.loads(case["response"]["body"]), "m")
        assert info.context == 131072
