"""Google's models that speak: `generateContent` which is asked for sound, and answers with bare samples."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Garbled, Refused, Unsupported
from mcp_llm.types.speech import Spoken
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.chat.gemini import Place, request_path
from mcp_llm.wires.gemini_usage import usage
from mcp_llm.wires.whole import body, raw, untaken

if TYPE_CHECKING:
    from mcp_llm.types.speech import SpeechRequest

SPELLINGS: Final[dict[str, str]] = {"languageCode": "language"}


class Quirks(Place):
    """The voice where none is named, and how much is spoken at once."""

    voice: str = "Kore"
    max_characters: int = 24_000
    """Characters of one request: some 8,000 tokens of input are taken."""


def encode(request: SpeechRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """How it shall be spoken goes in front of the words: these models read it as a direction."""
    if request.format not in {None, "wav", "pcm"}:
        raise Unsupported(f"{model} gives samples, which are wav or pcm here, not {request.format}")
    if request.speakers:
        voices: dict[str, Any] = {
            "multiSpeakerVoiceConfig": {
                "speakerVoiceConfigs": [
                    {"speaker": name, "voiceConfig": _voice(voice)} for name, voice in request.speakers.items()
                ]
            }
        }
    else:
        voices = {"voiceConfig": _voice(request.voice or quirks.voice)}
    if request.language is not None:
        voices["languageCode"] = request.language
    text = f"{request.instructions}: {request.text}" if request.instructions else request.text
    data = {
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": voices},
    }
    path = request_path(model, "generateContent", quirks)
    warnings = untaken(request, ("speed",), model)
    return base.HttpRequest(method="POST", path=path, json=merge(data, request.options), warnings=warnings)


def _voice(name: str) -> dict[str, Any]:
    return {"prebuiltVoiceConfig": {"voiceName": name}}


def decode(reply: base.HttpReply, request: SpeechRequest, quirks: Quirks) -> Spoken:
    """The samples of all parts, and their rate (`audio/L16;codec=pcm;rate=24000`)."""
    data = body(reply)
    candidates = data.get("candidates") or []
    parts = [part for one in candidates for part in (one.get("content") or {}).get("parts") or []]
    sounds = [part["inlineData"] for part in parts if "inlineData" in part]
    if not sounds:
        blocked = (data.get("promptFeedback") or {}).get("blockReason")
        why = [word for one in candidates if (word := one.get("finishReason")) not in {None, "STOP"}]
        if blocked or why:
            raise Refused(f"nothing was spoken: {blocked or ', '.join(why)}")
        raise Garbled("the reply holds no sound")
    mime = str(sounds[0]["mimeType"])
    rate = re.search(r"rate=(\d{4,6})", mime)
    bare = mime.lower().startswith(("audio/l16", "audio/pcm"))
    counted = (usage(data.get("usageMetadata")) or Usage()).model_copy(update={"characters": len(request.text)})
    return Spoken(
        b"".join(raw(one["data"]) for one in sounds),
        mime.partition(";")[0].lower(),
        (int(rate[1]) if rate else 24_000) if bare else None,
        counted,
        data.get("modelVersion"),
        data.get("responseId"),
    )
