"""Replies of the other operations with one value changed: an answer or an error of ours, never anything else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.errors import Garbled, ProviderError
from mcp_llm.types.embed import EmbedRequest
from mcp_llm.types.image import ImageRequest
from mcp_llm.types.speech import SpeechRequest
from mcp_llm.types.transcribe import TranscribeRequest
from mcp_llm.types.usage import COUNTS, Usage
from mcp_llm.wires import embed, image, speech, transcribe, video
from mcp_llm.wires.base import HttpReply
from mcp_llm.wires.whole import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PNG = "iVBORw0KGgo="
GEMINI = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 1}}


def gemini(*parts: Any) -> dict[str, Any]:
    details = [{"modality": "IMAGE", "tokenCount": 4}]
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4, "candidatesTokensDetails": details}
    return {
        "candidates": [{"content": {"parts": list(parts)}, "finishReason": "STOP"}],
        "usageMetadata": usage,
        "modelVersion": "m",
        "responseId": "r",
    }


EMBED = EmbedRequest(texts=("a", "b"))
IMAGE = ImageRequest(prompt="a")
SPEECH = SpeechRequest(text="a")
TRANSCRIBE = TranscribeRequest(data=b"", mime="audio/wav", name="a.wav")
HEARD = {"text": "Hi", "startOffset": "0s", "endOffset": "1.5s", "speakerLabel": "a", "words": [{"word": "Hi"}]}
USAGE = {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4, "input_token_details": {"audio_tokens": 2}}
REPLIES: dict[str, tuple[Any, Any, Any]] = {
    "embed openai": (
        embed.wire("openai"),
        EMBED,
        {
            "data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": "AACAPwAAAEA="}],
            "usage": {"prompt_tokens": 2, "cost": {"total_cost": 0.1}},
            "model": "m",
            "id": "i",
        },
    ),
    "embed gemini": (embed.wire("gemini"), EMBED, {"embeddings": [{"values": [1.0]}, {"values": [2.0]}], **GEMINI}),
    "embed predict": (
        embed.wire("predict"),
        EMBED,
        {"predictions": [{"embeddings": {"values": [1.0], "statistics": {"token_count": 1}}}] * 2},
    ),
    "embed cohere": (
        embed.wire("cohere"),
        EMBED,
        {"embeddings": {"float": [[1.0], [2.0]]}, "meta": {"billed_units": {"input_tokens": 2}}, "id": "i"},
    ),
    "embed ollama": (embed.wire("ollama"), EMBED, {"embeddings": [[1.0], [2.0]], "prompt_eval_count": 2, "model": "m"}),
    "image openai": (
        image.wire("openai"),
        IMAGE,
        {
            "data": [{"b64_json": PNG, "revised_prompt": "b"}, {"url": "https://x.example/a"}],
            "usage": {"input_tokens": 1, "output_tokens": 2, "input_tokens_details": {"image_tokens": 1}},
        },
    ),
    "image gemini": (
        image.wire("gemini"),
        IMAGE,
        gemini({"text": "Here"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}),
    ),
    "image fireworks": (image.wire("fireworks"), IMAGE, {"base64": [PNG], "finishReason": "SUCCESS"}),
    "speech openai": (speech.wire("openai"), SPEECH, {"audio_data": PNG, "usage": {"prompt_tokens": 1}}),
    "speech gemini": (
        speech.wire("gemini"),
        SPEECH,
        gemini({"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AAAA"}}),
    ),
    "transcribe openai": (
        transcribe.wire("openai"),
        TRANSCRIBE,
        {
            "text": "Hi",
            "segments": [{"text": "Hi", "start": 0, "end": 1, "speaker": "A"}],
            "words": [{"word": "Hi", "start": 0, "end": 1}],
            "language": "en",
            "duration": 1,
            "usage": USAGE,
        },
    ),
    "transcribe gemini": (transcribe.wire("gemini"), TRANSCRIBE, gemini({"audioTranscription": HEARD}, {"text": "Hi"})),
}
ODD: tuple[Any, ...] = (None, True, -1, 1e308, "", "x", "\ud800", [], [None], {}, {"": None})


def mutants(value: Any) -> Iterator[Any]:
    """The value with one of the values in it, or itself, replaced by each odd one."""
    yield from ODD
    if isinstance(value, dict):
        for key in value:
            for changed in mutants(value[key]):
                yield {**value, key: changed}
            yield {name: item for name, item in value.items() if name != key}
    elif isinstance(value, list):
        for at in range(len(value)):
            for changed in mutants(value[at]):
                yield [*value[:at], changed, *value[at + 1 :]]
            yield [*value[:at], *value[at + 1 :]]


def check(decode: Callable[[HttpReply], Any], body: Any) -> None:
    reply = HttpReply(200, {"content-type": "application/json"}, json.dumps(body).encode())
    told = ""
    try:
        given = decoded(lambda: decode(reply))
    except ProviderError as error:
        told = str(error)
    if told:
        assert told.encode()
        return
    usage = given.usage
    assert isinstance(usage, Usage), body
    counts = {name: value for name in COUNTS if (value := getattr(usage, name)) is not None and value < 0}
    assert counts == {}
    for word in (given.model, given.id):
        (word or "").encode()  # what cannot be encoded cannot be kept


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_with_one_odd_value_is_read_or_is_an_error_of_ours(name: str) -> None:
    module, request, whole = REPLIES[name]
    quirks = module.Quirks()
    kind = {"content-type": "application/json"}
    decoded(lambda: module.decode(HttpReply(200, kind, json.dumps(whole).encode()), request, quirks))
    for body in mutants(whole):
        check(lambda reply: module.decode(reply, request, quirks), body)


JOBS: dict[str, Any] = {
    "xai": {
        "status": "done",
        "video": {"url": "https://x.example/a", "duration": 6, "respect_moderation": True},
        "usage": {"cost_in_usd_ticks": 5},
        "progress": 50,
        "error": None,
        "model": "m",
    },
    "gemini": {
        "status": "completed",
        "id": "i",
        "model": "m",
        "steps": [{"type": "model_output", "content": [{"type": "video", "data": PNG, "uri": "https://x.example/a"}]}],
        "usage": {"total_input_tokens": 1, "output_tokens_by_modality": [{"modality": "video", "tokens": 3}]},
        "errors": [{"message": "x"}],
    },
}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_with_one_odd_value_is_read_or_is_an_error_of_ours(name: str) -> None:
    module = video.wire(name)
    for status in ("done", "completed", "failed", "pending", "cancelled"):
        for body in mutants({**JOBS[name], "status": status}):
            check(module.state, body)
    for body in mutants({"id": "i", "request_id": "i"}):
        reply = HttpReply(200, {}, json.dumps(body).encode())
        try:
            assert decoded(lambda: module.submitted(reply))  # noqa: B023 - called at once
        except ProviderError:
            continue


def test_packed_numbers_that_end_in_the_middle_of_one_are_garbled() -> None:
    body = json.dumps({"data": [{"embedding": "AACAPwA="}]}).encode()
    wire = embed.wire("openai")
    with pytest.raises(Garbled, match="middle of one"):
        decoded(lambda: wire.decode(HttpReply(200, {}, body), EmbedRequest(texts=("a",)), wire.Quirks()))


@pytest.mark.parametrize("half", [b"\\ud800", b"\xed\xa0\x80"], ids=["escaped", "raw"])
def test_half_a_surrogate_pair_is_replaced_however_it_comes(half: bytes) -> None:
    wire = transcribe.wire("openai")
    whole = HttpReply(200, {}, b'{"text": "a' + half + b'b"}')
    event = b'data: {"type": "transcript.text.done", "text": "a' + half + b'b"}\n\n'
    stream = HttpReply(200, {"content-type": "text/event-stream"}, event)
    for reply in (whole, stream):
        heard = decoded(lambda reply=reply: wire.decode(reply, TRANSCRIBE, wire.Quirks()))  # type: ignore[misc]
        assert heard.text == "a\ufffdb"
