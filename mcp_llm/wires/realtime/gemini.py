"""Google's Live API (`BidiGenerateContent`): one key a message says what it is.

https://ai.google.dev/api/live. Frames come as bytes; sound goes in at 16 kHz and comes out at 24.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.types.message import ToolCall
from mcp_llm.types.realtime import Dropped, Interrupted, Leaving, Ready, SoundOut, TurnEnd, Used, Wanted, Words
from mcp_llm.types.usage import Usage
from mcp_llm.wires import failures
from mcp_llm.wires.body import merge
from mcp_llm.wires.gemini_usage import usage

from . import contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcp_llm.types.message import Json, ToolResult
    from mcp_llm.types.realtime import RealtimeEvent, RealtimeRequest

_RATE: Final = re.compile(r"rate=(\d{4,6})")
_SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)s")


class Quirks(contract.Quirks):
    """Where the service is."""

    rate_in: int = 16_000
    version: str = "v1beta"


def path(model: str, quirks: Quirks) -> str:
    """The model is in the opening."""
    return f"/ws/google.ai.generativelanguage.{quirks.version}.GenerativeService.BidiGenerateContent"


def opening(request: RealtimeRequest, model: str, quirks: Quirks) -> list[Json]:
    """One `setup`."""
    config: dict[str, Any] = {"responseModalities": ["AUDIO" if request.speak else "TEXT"]}
    if request.temperature is not None:
        config["temperature"] = request.temperature
    speech: dict[str, Any] = {}
    if request.voice:
        speech["voiceConfig"] = {"prebuiltVoiceConfig": {"voiceName": request.voice}}
    if request.language:
        speech["languageCode"] = request.language
    if speech:
        config["speechConfig"] = speech
    setup: dict[str, Any] = {"model": f"models/{model.removeprefix('models/')}", "generationConfig": config}
    if request.instructions:
        setup["systemInstruction"] = {"parts": [{"text": request.instructions}]}
    if request.tools:
        setup["tools"] = [
            {
                "functionDeclarations": [
                    {"name": one.name, "description": one.description or "", "parametersJsonSchema": one.parameters}
                    for one in request.tools
                ]
            }
        ]
    if request.transcribe:
        setup["inputAudioTranscription"] = {}
    if request.speak:
        setup["outputAudioTranscription"] = {}
    if not request.listen:
        setup["realtimeInputConfig"] = {"automaticActivityDetection": {"disabled": True}}
    return [{"setup": merge(setup, request.options)}]


def text(words: str, quirks: Quirks) -> list[Json]:
    """A whole turn."""
    return [{"clientContent": {"turns": [{"role": "user", "parts": [{"text": words}]}], "turnComplete": True}}]


def sound(data: bytes, request: RealtimeRequest, quirks: Quirks, *, first: bool) -> list[Json]:
    """A piece; where nobody listens for its beginning, that is said."""
    packed = {"data": base64.b64encode(data).decode(), "mimeType": f"audio/pcm;rate={quirks.rate_in}"}
    begun: list[Json] = [{"realtimeInput": {"activityStart": {}}}] if first and not request.listen else []
    return [*begun, {"realtimeInput": {"audio": packed}}]


def over(request: RealtimeRequest, quirks: Quirks) -> list[Json]:
    """The end of a turn, or of the stream of sound."""
    return [{"realtimeInput": {"audioStreamEnd": True} if request.listen else {"activityEnd": {}}}]


def results(results: Sequence[ToolResult], quirks: Quirks) -> list[Json]:
    """All in one message."""
    packed = [
        {"id": one.id, "name": one.name, "response": {"error" if one.is_error else "output": one.text}}
        for one in results
    ]
    return [{"toolResponse": {"functionResponses": packed}}]


def interrupt(quirks: Quirks) -> list[Json]:
    """Content from the client interrupts what is being made; this is none, and waits for no answer."""
    return [{"clientContent": {"turnComplete": False}}]


class Decoder:
    """One session's."""

    def __init__(self, quirks: Quirks) -> None:
        self._rate = quirks.rate_out

    def feed(self, frame: Json) -> Iterator[RealtimeEvent]:
        """A message may say several things."""
        if frame.get("error"):
            raise failures.from_data(frame, headers={})
        if (told := frame.get("usageMetadata")) is not None:
            yield Used(usage(told) or Usage())
        if "setupComplete" in frame:
            yield Ready()
        if (content := frame.get("serverContent")) is not None:
            yield from self._content(content)
        if (wanted := frame.get("toolCall")) is not None:
            yield Wanted(
                tuple(
                    ToolCall(one.get("id") or "", one["name"], json.dumps(one.get("args") or {}, ensure_ascii=False))
                    for one in wanted["functionCalls"]
                )
            )
        if (dropped := frame.get("toolCallCancellation")) is not None:
            yield Dropped(tuple(dropped["ids"]))
        if (leaving := frame.get("goAway")) is not None:
            found = _SECONDS.fullmatch(leaving.get("timeLeft") or "")
            yield Leaving(float(found[1]) if found else None)

    def _content(self, content: Json) -> Iterator[RealtimeEvent]:
        if heard := (content.get("inputTranscription") or {}).get("text"):
            yield Words(heard, heard=True)
        for part in (content.get("modelTurn") or {}).get("parts") or ():
            if (inline := part.get("inlineData")) is not None:
                rate = _RATE.search(inline.get("mimeType") or "")
                yield SoundOut(base64.b64decode(inline["data"]), int(rate[1]) if rate else self._rate)
            elif part.get("text") and not part.get("thought"):
                yield Words(part["text"])
        if said := (content.get("outputTranscription") or {}).get("text"):
            yield Words(said)
        if content.get("interrupted"):
            yield Interrupted()
        if content.get("turnComplete"):
            yield TurnEnd("cancelled" if content.get("interrupted") else "stop")
