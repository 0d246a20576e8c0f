"""Every request of the other operations is one that the vendor's own SDK, or its reference, would have written."""

from __future__ import annotations

import re
from typing import Any, Literal, NotRequired

import pytest
from typing_extensions import TypedDict

from mcp_llm.catalog.load import load
from mcp_llm.errors import Unsupported
from mcp_llm.types.embed import EmbedRequest
from mcp_llm.types.image import ImageRequest
from mcp_llm.types.message import Media
from mcp_llm.types.speech import SpeechRequest
from mcp_llm.types.transcribe import TranscribeRequest
from mcp_llm.types.video import VideoRequest
from mcp_llm.wires import embed, image, speech, transcribe, video

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


PNG = Media("image/png", "iVBORw0KGgo=")
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


def form(fields: Any) -> dict[str, Any]:
    """A form as the SDK takes it: files by name, several as a list, figures as figures."""
    found: dict[str, Any] = {}
    for one in fields:
        name = one.name.removesuffix("[]")
        if one.filename is not None:
            found.setdefault(name, []).append(one.value)
        else:
            found[name] = int(one.value) if one.value.isdigit() else {"true": True}.get(one.value, one.value)
    return {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in found.items()}


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
    with pytest.raises(Unsupported, match="`size` 'huge' is none"):
        image.wire("openai").encode(ImageRequest(prompt="a", size="huge"), "m", image.wire("openai").Quirks())


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


SOUND: dict[str, Any] = {"data": b"RIFF....WAVE", "mime": "audio/wav", "name": "recording.wav"}
TRANSCRIBE: dict[str, TranscribeRequest] = {
    "plain": TranscribeRequest(**SOUND),
    "helped": TranscribeRequest(**SOUND, language="de", prompt="Zürich, Ångström"),
    "segments": TranscribeRequest(**SOUND, timestamps="segment"),
    "words": TranscribeRequest(**SOUND, timestamps="word"),
    "speakers": TranscribeRequest(**SOUND, diarize=True, timestamps="word"),
    "stream": TranscribeRequest(**SOUND, stream=True),
}


def heard(provider: str, name: str) -> Any:
    target = load().find(provider, "transcribe")
    return transcribe.wire(target.wire).encode(TRANSCRIBE[name], target.model_id, target.quirks)


@pytest.mark.parametrize("name", TRANSCRIBE)
def test_forms_for_recordings_are_of_openais_types(name: str, sdk: Any) -> None:
    from openai.types.audio import transcription_create_params as params

    request = heard("openai", name)
    assert request.path == "/audio/transcriptions"
    last = request.form[-1]
    assert (last.name, last.filename, last.mime, last.value) == ("file", "recording.wav", "audio/wav", SOUND["data"])
    body = form(request.form[:-1])
    if "timestamp_granularities" in body:
        body["timestamp_granularities"] = [body["timestamp_granularities"]]
    kinds = (params.TranscriptionCreateParamsNonStreaming, params.TranscriptionCreateParamsStreaming)
    told = min((sdk.walk(body, kind) for kind in kinds), key=len)
    assert [line for line in told if line != "$.file: missing"] == []
    assert (
        body
        == {
            "plain": {"model": "gpt-transcribe"},
            "helped": {"model": "gpt-transcribe", "language": "de", "prompt": "Zürich, Ångström"},
            "segments": {
                "model": "gpt-transcribe",
                "response_format": "verbose_json",
                "timestamp_granularities": ["segment"],
            },
            "words": {
                "model": "gpt-transcribe",
                "response_format": "verbose_json",
                "timestamp_granularities": ["word"],
            },
            "speakers": {"model": "gpt-transcribe", "response_format": "diarized_json", "chunking_strategy": "auto"},
            "stream": {"model": "gpt-transcribe", "stream": True},
        }[name]
    )


def test_imitations_are_asked_for_times_and_speakers_in_their_own_words() -> None:
    assert form(heard("mistral", "speakers").form[:-1]) == {
        "model": "voxtral-mini-transcribe-3",
        "diarize": True,
        "timestamp_granularities": "word",
    }
    assert heard("mistral", "helped").warnings == ["`prompt` was not sent: voxtral-mini-transcribe-3 does not take it"]
    assert heard("groq", "speakers").warnings == ["`diarize` was not sent: whisper-large-v3-turbo does not take it"]


@pytest.mark.parametrize("name", TRANSCRIBE)
def test_bodies_for_recordings_are_of_googles_types(name: str, sdk: Any) -> None:
    request = heard("google", name)
    assert sdk.check("gemini", request.json) == []
    assert request.json["generationConfig"]["audioTranscriptionConfig"] == {
        "helped": {"languageCodes": ["de"], "customVocabulary": ["Zürich", "Ångström"]},
        "segments": {"wordTimestamp": True},
        "words": {"wordTimestamp": True},
        "speakers": {"wordTimestamp": True, "diarization": True},
    }.get(name, {})
    chat = load().find("google:gemini-3.8-flash", "transcribe")
    asked = transcribe.wire("gemini").encode(TRANSCRIBE[name], chat.model_id, chat.quirks)
    assert "generationConfig" not in (asked.json or {})


def test_only_who_translates_is_asked_to() -> None:
    english = TranscribeRequest(**SOUND, translate=True)
    with pytest.raises(Unsupported, match="does not translate"):
        transcribe.wire("openai").encode(english, "m", transcribe.wire("openai").Quirks())
    for name in ("openai:whisper-1", "groq:whisper-large-v3-turbo"):
        target = load().find(name, "transcribe")
        request = transcribe.wire("openai").encode(english, target.model_id, target.quirks)
        assert request.path == "/audio/translations"


SPEECH: dict[str, SpeechRequest] = {
    "plain": SpeechRequest(text="Good morning."),
    "all": SpeechRequest(text="Hi.", voice="coral", format="wav", speed=1.5, instructions="Softly"),
    "language": SpeechRequest(text="Grüezi.", language="de-CH"),
}
DUET = SpeechRequest(text="Ann: Hi. Bob: Ho.", speakers={"Ann": "Kore", "Bob": "Puck"})


def spoken(provider: str, request: SpeechRequest) -> Any:
    target = load().find(provider, "speech")
    return speech.wire(target.wire).encode(request, target.model_id, target.quirks)


@pytest.mark.parametrize("name", SPEECH)
def test_bodies_for_speech_are_of_openais_types(name: str, sdk: Any) -> None:
    from openai.types.audio import speech_create_params as params

    request = spoken("openai", SPEECH[name])
    assert sdk.walk(request.json, params.SpeechCreateParams) == []
    assert request.path == "/audio/speech"
    if name == "language":
        assert request.warnings == ["`language` was not sent: gpt-4o-mini-tts does not take it"]


@pytest.mark.parametrize("request_", [*SPEECH.values(), DUET])
def test_bodies_for_speech_are_of_googles_types(request_: SpeechRequest, sdk: Any) -> None:
    request = spoken("google", request_)
    assert sdk.check("gemini", request.json) == []
    assert request.json["generationConfig"]["responseModalities"] == ["AUDIO"]


def test_google_is_given_two_voices_and_directions() -> None:
    config = spoken("google", DUET).json["generationConfig"]["speechConfig"]
    assert [one["speaker"] for one in config["multiSpeakerVoiceConfig"]["speakerVoiceConfigs"]] == ["Ann", "Bob"]
    said = spoken("google", SPEECH["all"]).json
    assert said["contents"][0]["parts"] == [{"text": "Softly: Hi."}]
    assert said["generationConfig"]["speechConfig"]["voiceConfig"] == {"prebuiltVoiceConfig": {"voiceName": "coral"}}


def test_what_a_voice_cannot_do_is_said_before_anything_is_sent() -> None:
    assert spoken("groq", SPEECH["plain"]).json == {
        "model": "canopylabs/orpheus-v1-english",
        "input": "Good morning.",
        "voice": "hannah",
        "response_format": "wav",
    }
    for provider, request, words in (
        ("groq", SpeechRequest(text="x", format="mp3"), "speaks wav, not mp3"),
        ("openai", DUET, "one voice at a time"),
        ("google", SpeechRequest(text="x", format="mp3"), "wav or pcm here, not mp3"),
    ):
        with pytest.raises(Unsupported, match=words):
            spoken(provider, request)


class XaiImage(TypedDict):
    url: str


class XaiVideo(TypedDict):
    """The vendor's reference, "Video generation"."""

    model: str
    prompt: str
    duration: NotRequired[int]
    aspect_ratio: NotRequired[Literal["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"]]
    resolution: NotRequired[Literal["480p", "720p", "1080p"]]
    image: NotRequired[XaiImage]
    reference_images: NotRequired[list[XaiImage]]


VIDEO: dict[str, VideoRequest] = {
    "plain": VideoRequest(prompt="waves"),
    "all": VideoRequest(prompt="waves", seconds=6, ratio="16:9", resolution="720p"),
    "image": VideoRequest(prompt="it moves", image=PNG),
    "references": VideoRequest(prompt="they dance", references=(PNG, Media("image/png", url="https://example.com/a"))),
}


@pytest.mark.parametrize("name", VIDEO)
def test_orders_of_films_are_of_the_vendors_types(name: str, sdk: Any) -> None:
    from google.genai._gaos.types.interactions.createmodelinteraction import CreateModelInteractionParam

    for provider, kind in (("xai", XaiVideo), ("google", CreateModelInteractionParam)):
        target = load().find(provider, "video")
        request = video.wire(target.wire).submit(VIDEO[name], target.model_id, target.quirks)
        assert sdk.walk(request.json, kind) == []
        assert request.once
