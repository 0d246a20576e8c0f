"""Model lists under OpenAI's path, as vendors fill them in."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_llm.wires.base import HttpRequest, ModelInfo
from mcp_llm.wires.models import openai


def read(*items: dict[str, Any]) -> list[ModelInfo]:
    return openai.decode({"object": "list", "data": list(items)})[0]


def test_a_list_is_asked_for_page_by_page() -> None:
    quirks = openai.Quirks(path="/catalog/models", query={"endpoint": "chat"})
    assert openai.encode(None, openai.Quirks()) == HttpRequest(method="GET", path="/models")
    assert openai.encode("offset=2&q=a%20b", quirks) == HttpRequest(
        method="GET", path="/catalog/models", query={"endpoint": "chat", "offset": "2", "q": "a b"}
    )


@pytest.mark.parametrize(
    ("more", "cursor"),
    [
        ({}, None),
        ({"links": {"next": None}}, None),
        ({"links": {"next": "https://e.example/v1/models?offset=2&limit=1"}}, "offset=2&limit=1"),
        ({"next_page_token": "a b"}, "page_token=a+b"),
        ({"nextPageToken": "x"}, "pageToken=x"),
        ({"nextPageToken": ""}, None),
    ],
)
def test_the_next_page_is_known_by_its_query(more: dict[str, Any], cursor: str | None) -> None:
    assert openai.decode({"data": [{"id": "a"}], **more}) == ([ModelInfo("a")], cursor)


@pytest.mark.parametrize("body", [[{"id": "a"}], {"data": [{"id": "a"}]}, {"models": [{"name": "a"}]}])
def test_lists_come_bare_or_under_two_names(body: Any) -> None:
    assert openai.decode(body) == ([ModelInfo("a")], None)


def test_an_id_alone_says_nothing_else() -> None:
    assert read({"id": "gpt", "object": "model", "created": 1, "owned_by": "x"}) == [ModelInfo("gpt")]


@pytest.mark.parametrize(
    ("item", "info"),
    [
        pytest.param(
            {
                "id": "a/b",
                "name": "A: B",
                "context_length": 1000000,
                "architecture": {"input_modalities": ["text", "image", "file"], "output_modalities": ["text"]},
                "pricing": {"prompt": "0.000003", "completion": "0.000015", "image": "0"},
                "top_provider": {"context_length": 200000, "max_completion_tokens": 64000},
                "supported_parameters": ["tools", "reasoning", "structured_outputs", "top_p"],
                "expiration_date": "2027-01-31",
            },
            ModelInfo(
                "a/b",
                "A: B",
                200000,
                64000,
                can=("streaming", "tools", "json", "reasoning"),
                reads=("image", "pdf"),
                retires="2027-01-31",
                input_price=3.0,
                output_price=15.0,
            ),
            id="OpenRouter",
        ),
        pytest.param(
            {
                "id": "m",
                "name": "m",
                "max_context_length": 131072,
                "deprecation": "2026-08-31T12:00:00Z",
                "capabilities": {"completion_chat": True, "function_calling": True, "vision": True, "reasoning": False},
            },
            ModelInfo("m", context=131072, can=("streaming", "tools", "json"), reads=("image",), retires="2026-08-31"),
            id="Mistral",
        ),
        pytest.param(
            {"id": "e", "capabilities": {"completion_chat": False, "vision": False}},
            ModelInfo("e", can=(), reads=()),
            id="Mistral, no chat",
        ),
        pytest.param(
            {
                "id": "g",
                "context_window": 131072,
                "max_completion_tokens": 65536,
                "input_modalities": ["text"],
                "output_modalities": ["text"],
                "supported_features": ["tools", "json_mode"],
                "pricing": {"prompt": "0.000000075", "completion": "0.0000003"},
            },
            ModelInfo(
                "g",
                context=131072,
                output=65536,
                can=("streaming", "tools", "json"),
                reads=(),
                input_price=0.075,
                output_price=0.3,
            ),
            id="Groq",
        ),
        pytest.param(
            {"id": "w", "input_modalities": ["audio"], "output_modalities": ["transcription"]},
            ModelInfo("w", can=(), reads=("audio",)),
            id="Groq, speech to text",
        ),
        pytest.param(
            {
                "id": "h",
                "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
                "providers": [
                    {"status": "live", "context_length": 200, "pricing": {"input": 1, "output": 2}},
                    {
                        "status": "live",
                        "context_length": 100,
                        "pricing": {"input": 1, "output": 2},
                        "supports_tools": True,
                        "supports_structured_output": False,
                    },
                    {"status": "error", "context_length": 50, "supports_structured_output": True},
                ],
            },
            ModelInfo("h", context=100, can=("streaming", "tools"), reads=(), input_price=1.0, output_price=2.0),
            id="Hugging Face",
        ),
        pytest.param(
            {
                "id": "t",
                "display_name": "T",
                "type": "chat",
                "context_length": 8192,
                "pricing": {"hourly": 0, "input": 0.6, "output": 0},
            },
            ModelInfo("t", "T", 8192, input_price=0.6),
            id="Together",
        ),
        pytest.param({"id": "i", "type": "image"}, ModelInfo("i", can=()), id="Together, images"),
        pytest.param(
            {
                "id": "f",
                "context_length": 9,
                "supports_chat": True,
                "supports_tools": True,
                "supports_image_input": True,
            },
            ModelInfo("f", context=9, can=("streaming", "tools", "json"), reads=("image",)),
            id="Fireworks",
        ),
        pytest.param({"id": "v", "max_model_len": 4096}, ModelInfo("v", context=4096), id="vLLM"),
        pytest.param(
            {"id": "l", "meta": {"n_ctx": 4096, "n_ctx_train": 40960}, "tags": []},
            ModelInfo("l", context=4096),
            id="llama.cpp",
        ),
        pytest.param(
            {
                "id": "x",
                "input_modalities": ["text", "image"],
                "prompt_text_token_price": 20000,
                "completion_text_token_price": 100000,
            },
            ModelInfo("x", reads=("image",), input_price=2.0, output_price=10.0),
            id="xAI",
        ),
        pytest.param(
            {"name": "c", "endpoints": ["embed"], "context_length": 0, "features": None},
            ModelInfo("c", can=()),
            id="Cohere, no chat",
        ),
        pytest.param(
            {"name": "c", "endpoints": ["chat"], "context_length": 128000.0, "features": ["tools", "vision"]},
            ModelInfo("c", context=128000, can=("streaming", "tools"), reads=("image",)),
            id="Cohere",
        ),
        pytest.param({"id": "o", "shutdown_date": 1799193600}, ModelInfo("o", retires="2027-01-06"), id="OpenAI"),
    ],
)
def test_what_a_vendor_says_more_is_understood(item: dict[str, Any], info: ModelInfo) -> None:
    assert read(item) == [info]


@pytest.mark.parametrize(
    ("price", "dollars"),
    [("0", 0.0), ("-1", None), ("nan", None), ("inf", None), ("free", None), (0, None), (2.5, 2.5), (True, None)],
)
def test_a_price_that_is_none_is_unknown(price: Any, dollars: float | None) -> None:
    info = ModelInfo("a", input_price=dollars, output_price=dollars)
    assert read({"id": "a", "pricing": {"prompt": price, "completion": price}}) == [info]


def test_hosts_that_ask_different_prices_leave_it_unknown() -> None:
    hosts = [{"pricing": {"input": 1, "output": price}} for price in (2, 3)]
    assert read({"id": "a", "providers": hosts}) == [ModelInfo("a")]


@pytest.mark.parametrize(
    "row", [None, 7, "m", [], {}, {"id": ""}, {"id": 7}, {"id": "a\x1bb"}, {"id": "\u202ea"}, {"id": "x" * 201}]
)
def test_a_row_that_names_no_model_costs_only_itself(row: Any) -> None:
    assert openai.decode([row, {"id": "good"}]) == ([ModelInfo("good")], None)


@pytest.mark.parametrize(
    ("more", "known"),
    [
        ({"name": "Go\x1b[31mod\u202e"}, {"name": "Go[31mod"}),
        ({"name": ["Good"]}, {}),
        ({"name": "n" * 300}, {"name": "n" * 200}),
        ({"retires_at": "2027-01-31\x1b[2J"}, {"retires": "2027-01-31"}),
        ({"retires_at": "\x1b]0;p\x07"}, {}),
        ({"context_length": 2**64}, {}),
        ({"context_length": "8k"}, {}),
    ],
)
def test_what_a_list_says_of_a_model_is_fit_to_be_shown_or_unknown(more: dict[str, Any], known: dict[str, Any]) -> None:
    assert read({"id": "good", **more}) == [ModelInfo("good", **known)]


def test_a_list_without_one_readable_row_is_none() -> None:
    with pytest.raises(ValueError, match="no row"):
        openai.decode({"data": [None, {}, "x"]})
    assert openai.decode({"data": []}) == ([], None)
