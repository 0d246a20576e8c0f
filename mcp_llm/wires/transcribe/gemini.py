"""Google's models that listen: `generateContent` with a recording; the ones made for it take settings of their own."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Garbled, Refused
from mcp_llm.types.transcribe import Segment, Transcript
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.chat.gemini import Place, request_path
from mcp_llm.wires.gemini_usage import usage
from mcp_llm.wires.whole import body, untaken

if TYPE_CHECKING:
    from mcp_llm.types.message import Json
    from mcp_llm.types.transcribe import TranscribeRequest

SPELLINGS: Final[dict[str, str]] = {
    "customVocabulary": "prompt",
    "languageCodes": "language",
    "wordTimestamp": "timestamps",
    "diarization": "diarize",
}
MIB: Final = 1024 * 1024


class Quirks(Place):
    """How a model is told what to write down."""

    max_bytes: int = 14 * MIB
    """Bytes of one recording: a request may have some 20 MB, and base64 makes a third more of them."""
    made_for_it: bool = True
    """Takes `audioTranscriptionConfig`; a chat model is asked in words."""


def encode(request: TranscribeRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """The recording first, then what is wanted of it."""
    sound = {"inlineData": {"mimeType": request.mime, "data": base64.b64encode(request.data).decode()}}
    warnings: list[str] = []
    config: dict[str, Any] = {}
    words = _words(request)
    parts: list[dict[str, Any]] = [sound]
    if quirks.made_for_it:
        wanted: dict[str, Any] = {}
        if request.language is not None:
            wanted["languageCodes"] = [request.language]
        if request.prompt is not None:
            wanted["customVocabulary"] = [word.strip() for word in request.prompt.split(",") if word.strip()]
        if request.timestamps is not None:
            wanted["wordTimestamp"] = True
        if request.diarize:
            wanted["diarization"] = True
        if request.translate:
            parts.append({"text": words})
        config["audioTranscriptionConfig"] = wanted
    else:
        warnings += untaken(request, ("timestamps", "diarize"), model)
        parts.append({"text": words})
    data: dict[str, Any] = {"contents": [{"role": "user", "parts": parts}]}
    if config:
        data["generationConfig"] = config
    path = request_path(model, "generateContent", quirks)
    return base.HttpRequest(method="POST", path=path, json=merge(data, request.options), warnings=warnings)


def _words(request: TranscribeRequest) -> str:
    said = "Write down what is said in this recording, word for word, and nothing else."
    if request.translate:
        said = "Write down in English what is said in this recording, and nothing else."
    if request.language:
        said += f" The language spoken is {request.language}."
    return said + (f" These words may occur in it: {request.prompt}" if request.prompt else "")


def decode(reply: base.HttpReply, request: TranscribeRequest, quirks: Quirks) -> Transcript:
    """Words, with times and speakers where they were asked for."""
    data = body(reply)
    candidates = data.get("candidates") or []
    parts = [part for one in candidates for part in (one.get("content") or {}).get("parts") or []]
    heard = [part["audioTranscription"] for part in parts if part.get("audioTranscription")]
    text = "".join(part.get("text") or "" for part in parts if not part.get("thought"))
    if not text:
        text = " ".join(one["text"].strip() for one in heard if one.get("text"))
    blocked = (data.get("promptFeedback") or {}).get("blockReason")
    why = [word for one in candidates if (word := one.get("finishReason")) not in {None, "STOP", "MAX_TOKENS"}]
    if not text and (blocked or why):
        raise Refused(f"nothing was written down: {blocked or ', '.join(why)}")
    if not candidates:
        raise Garbled("the reply holds no transcript")
    segments = [
        Segment(
            text=one.get("text") or "",
            start=_seconds(one.get("startOffset")),
            end=_seconds(one.get("endOffset")),
            speaker=one.get("speakerLabel"),
        )
        for one in heard
    ]
    words = [
        Segment(
            text=word.get("word") or word.get("text") or "",
            start=_seconds(word.get("startOffset")),
            end=_seconds(word.get("endOffset")),
            speaker=one.get("speakerLabel"),
        )
        for one in heard
        for word in one.get("words") or ()
    ]
    language = next((one["languageCode"] for one in heard if one.get("languageCode")), None)
    counted = usage(data.get("usageMetadata")) or Usage()
    return Transcript(text, segments, words, language, None, counted, data.get("modelVersion"), data.get("responseId"))


def _seconds(offset: Json) -> float | None:
    """`1.5s` as a number."""
    return float(offset.removesuffix("s")) if isinstance(offset, str) else offset
