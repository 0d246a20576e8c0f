"""OpenAI's `/audio/speech` and those who imitate it: Groq, Mistral, local servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from mcp_llm.errors import Garbled, Unsupported
from mcp_llm.types.speech import MIMES, Sound, Spoken
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.counts import first, table
from mcp_llm.wires.excerpts import beginning
from mcp_llm.wires.whole import body, events, is_stream, raw, untaken

if TYPE_CHECKING:
    from mcp_llm.types.speech import SpeechRequest

SPELLINGS: Final[dict[str, str]] = {"speed": "speed", "instructions": "instructions", "response_format": "format"}
RATE: Final = 24_000
"""Hertz of the samples that `pcm` means."""


class Quirks(base.Quirks):
    """What imitations of the dialect disagree on."""

    path: str = "/audio/speech"
    voice: str | None = "alloy"
    """The voice where none is named; the dialect needs one."""
    voice_field: str = "voice"
    max_characters: int = 4096
    """Characters of one request; a longer text is several."""
    formats: tuple[Sound, ...] = ("mp3", "opus", "aac", "flac", "wav", "pcm")
    format: Sound | None = None
    """Asked for where the caller names none: what comes by itself cannot always be told, or joined."""
    takes: tuple[Literal["speed", "instructions"], ...] = ("speed", "instructions")


def encode(request: SpeechRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """The words, a voice, and what else was said."""
    if request.speakers:
        raise Unsupported(f"{model} has one voice at a time: leave `speakers` out")
    voice = request.voice or quirks.voice
    if voice is None:
        raise Unsupported(f"{model} needs a `voice`: name one of the vendor's")
    wanted = request.format or quirks.format
    if wanted is not None and wanted not in quirks.formats:
        raise Unsupported(f"{model} speaks {', '.join(quirks.formats)}, not {wanted}: ask for one of these")
    data: dict[str, Any] = {"model": model, "input": request.text, quirks.voice_field: voice}
    if wanted is not None:
        data["response_format"] = wanted
    warnings = untaken(request, {"speed", "instructions"} - set(quirks.takes), model)
    warnings += untaken(request, ("language",), model)
    for name in quirks.takes:
        if (value := getattr(request, name)) is not None:
            data[name] = value
    return base.HttpRequest(method="POST", path=quirks.path, json=merge(data, request.options), warnings=warnings)


def decode(reply: base.HttpReply, request: SpeechRequest, quirks: Quirks) -> Spoken:
    """The bytes as they are, or packed in JSON or events. A page or words in their place are Garbled."""
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    usage = Usage(characters=len(request.text))
    if is_stream(reply):
        found = events(reply)
        pieces = [raw(one["audio"]) for one in found if str(one.get("type", "")).endswith(".delta")]
        done = next((one for one in found if str(one.get("type", "")).endswith(".done")), None)
        if done is None:
            raise Garbled("the stream ended before the speech did")
        told = table(done, "usage")
        usage += Usage(input=first(told.get("input_tokens")), output=first(told.get("output_tokens")))
        data: bytes = b"".join(pieces)
    elif kind == "application/json":
        packed = body(reply)
        data, kind = raw(packed["audio_data"]), ""
        told = table(packed, "usage")
        usage += Usage(input=first(told.get("prompt_tokens")), output=first(told.get("completion_tokens")))
    elif kind.startswith("text/") or reply.body.lstrip()[:1] in {b"<", b"{"}:
        raise Garbled(f"the reply is no sound; it {beginning(reply.body)}")
    else:
        data = reply.body
    if not data:
        raise Garbled("the reply holds no sound")
    wanted = request.format or quirks.format
    rate = RATE if wanted == "pcm" else None
    return Spoken(data, MIMES[wanted] if wanted else kind or None, rate, usage)
