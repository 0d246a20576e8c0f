"""Every request of the other operations is one that the vendor's own SDK, or its reference, would have written."""

from __future__ import annotations

import re
from typing import Any, Literal, NotRequired

import pytest
from typing_extensions import TypedDict
from wires.forms import PNG, form

from mcp_llm.catalog.load import load
from mcp_llm.errors import InvalidInput, Unsupported
from mcp_llm.types.embed import EmbedRequest
from mcp_llm.types.image import ImageRequest
from mcp_llm.types.message import Media
from mcp_llm.wires import embed, image

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


IMAGE: dict[str, ImageRequest] = {
    "plain": ImageRequest(prompt="a cat"),
    "all": ImageRequest(
        prompt="a cat", n=2, size="16:9", quality="high", background="transparent", format="webp", partial=2
    ),
    "pixels": ImageRequest(prompt="a cat", size="1024x1536"),
    "class": ImageRequest(prompt="a cat", size="2K"),
    "edit": ImageRequest(prompt="make it red", images=(PNG,)),
    "edits": ImageRequest(prompt="join them", images=(PNG, PNG), size="auto"),
    "mask": ImageRequest(prompt="a hat here", images=(PNG,), mask=PNG, quality="low"),
}


def painted(provider: str, name: str) -> Any:
    target = load().find(provider, "image")
    return image.wire(target.wire).encode(IMAGE[name], target.model_id, target.quirks)


@pytest.mark.parametrize("name", IMAGE)
def test_bodies_for_pictures_are_of_openais_types(name: str, sdk: Any) -> None:
    from openai.types import image_edit_params as edit
    from openai.types import image_generate_params as generate

    request = painted("openai", name)
    assert request.path == ("/images/edits" if IMAGE[name].images else "/images/generations")
    if request.form is None:
        kinds: Any = (generate.ImageGenerateParamsNonStreaming, generate.ImageGenerateParamsStreaming)
        body = request.json
    else:
        kinds = (edit.ImageEditParamsNonStreaming, edit.ImageEditParamsStreaming)
        body = {key: value for key, value in form(request.form).items() if key not in {"image", "mask"}}
    told = min((sdk.walk(body, kind) for kind in kinds), key=len)
    assert [line for line in told if line != "$.image: missing"] == []
    assert request.stream is ("stream" in body)


def test_a_form_has_the_files_with_names_and_types() -> None:
    fields = painted("openai", "mask").form
    assert [(one.name, one.filename, one.mime) for one in fields if one.filename] == [
        ("image", "image-0.png", "image/png"),
        ("mask", "mask-0.png", "image/png"),
    ]
    assert [one.name for one in painted("openai", "edits").form if one.filename] == ["image[]", "image[]"]


@pytest.mark.parametrize("name", [name for name in IMAGE if name != "mask"])
def test_bodies_for_pictures_are_of_googles_types(name: str, sdk: Any) -> None:
    from google.genai.types import ImageConfig

    request = painted("google", name)
    config = request.json["generationConfig"]
    assert config["responseModalities"] == ["TEXT", "IMAGE"]
    picture = config.pop("imageConfig", None)  # the SDK has it beside the others and sends it among them
    assert sdk.check("gemini", request.json) == []
    assert sdk.walk(picture or {}, ImageConfig) == []
    assert picture == {
        "all": {"aspectRatio": "16:9"},
        "pixels": {"aspectRatio": "2:3", "imageSize": "2K"},
        "class": {"imageSize": "2K"},
    }.get(name)


def test_what_a_model_cannot_do_with_pictures_is_said_before_anything_is_sent() -> None:
    with pytest.raises(Unsupported, match="takes no `mask`"):
        painted("google", "mask")
    together = load().target("together", "black-forest-labs/FLUX.1-schnell", "image")
    with pytest.raises(Unsupported, match="does not change them"):
        image.wire("openai").encode(IMAGE["edit"], together.model_id, together.quirks)


@pytest.mark.parametrize("size", ["huge", "16:0", "0:9", "00x00", "1024x0", "1024X1024", "\u0661\u0666:\u0669"])
@pytest.mark.parametrize("name", ["openai", "gemini", "fireworks"])
def test_a_size_that_is_none_is_told_before_anything_is_sent(name: str, size: str) -> None:
    wire = image.wire(name)
    with pytest.raises(Unsupported, match=f"^`size` '{size}' is none: write 1024x1024, 16:9, 2K or auto$"):
        wire.encode(ImageRequest(prompt="a", size=size), "m", wire.Quirks())


def test_a_picture_to_change_that_is_no_base64_is_told_before_anything_is_sent() -> None:
    request = ImageRequest(prompt="a", images=(Media("image/png", data="abc"),))
    with pytest.raises(InvalidInput, match="not base64"):
        image.wire("openai").encode(request, "m", image.wire("openai").Quirks())


def test_imitations_get_their_own_words() -> None:
    assert painted("xai", "edit").json == {
        "model": "grok-imagine-image",
        "prompt": "make it red",
        "response_format": "b64_json",
        "images": [{"type": "image_url", "url": f"data:image/png;base64,{PNG.data}"}],
    }
    known = load()
    together = known.target("together", "flux", "image")
    assert image.wire("openai").encode(IMAGE["pixels"], "flux", together.quirks).json == {
        "model": "flux",
        "prompt": "a cat",
        "width": 1024,
        "height": 1536,
        "response_format": "base64",
    }
    fireworks = known.target("fireworks", "accounts/fireworks/models/flux-1-schnell-fp8", "image")
    request = image.wire("fireworks").encode(IMAGE["plain"], fireworks.model_id, fireworks.quirks)
    assert request.path == "/workflows/accounts/fireworks/models/flux-1-schnell-fp8/text_to_image"
    assert (request.json, request.headers) == ({"prompt": "a cat"}, {"accept": "image/png"})
