"""Requests about sound and film, each one that the vendor's own SDK, or its reference, would have written."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

import pytest
from typing_extensions import TypedDict
from wires.forms import PNG, form

from mcp_llm.catalog.load import load
from mcp_llm.errors import Unsupported
from mcp_llm.types.message import Media
from mcp_llm.types.speech import SpeechRequest
from mcp_llm.types.transcribe import TranscribeRequest
from mcp_llm.types.video import VideoRequest
from mcp_llm.wires import speech, transcribe, video

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


def test_options_that_are_no_words_are_fields_as_the_vendors_client_spells_them() -> None:
    from openai._qs import Querystring

    options = {
        "timestamp_granularities": ["word", "segment"],
        "languages[]": ["de", "fr"],
        "chunking_strategy": {"type": "server_vad", "threshold": 0.5, "phrases": ["a"]},
        "prompt": None,
        "stream": False,
    }
    request = TranscribeRequest(**SOUND, options=options)
    fields = transcribe.wire("openai").encode(request, "m", transcribe.wire("openai").Quirks()).form
    assert fields is not None
    ours = [(one.name, one.value) for one in fields[1:-1]]
    assert ours == [
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("languages[]", "de"),
        ("languages[]", "fr"),
        ("chunking_strategy[type]", "server_vad"),
        ("chunking_strategy[threshold]", "0.5"),
        ("chunking_strategy[phrases][]", "a"),
        ("stream", "false"),
    ]
    theirs = Querystring(array_format="brackets").stringify_items({**options, "languages": options.pop("languages[]")})
    assert sorted(ours) == sorted((name, value) for name, value in theirs if name not in {"prompt", "languages[][]"})


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
