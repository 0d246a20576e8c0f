"""Dialects of conversations: what is sent for each thing said, and what each frame that comes means."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mcp_llm.errors import AuthError, ProviderError
from mcp_llm.types.chat import ToolSpec
from mcp_llm.types.message import Text, ToolCall, ToolResult
from mcp_llm.types.realtime import (
    Dropped,
    Interrupted,
    Leaving,
    Ready,
    RealtimeRequest,
    SoundOut,
    TurnEnd,
    Used,
    Wanted,
    Words,
)
from mcp_llm.types.usage import Usage
from mcp_llm.wires.realtime import gemini, openai

LOOK = ToolSpec(name="look", description="Look.", parameters={"type": "object", "properties": {}})
FULL = RealtimeRequest(
    instructions="Be brief.", voice="v", listen=False, language="de", temperature=0.5, tools=(LOOK,), options={"x": 1}
)
PLAIN = RealtimeRequest(speak=False, transcribe=False)
SOUND = base64.b64encode(b"\x01\x02").decode()
RESULTS = [ToolResult("c1", "look", (Text("far"),)), ToolResult("c2", "look", (Text("no"),), is_error=True)]


def fed(wire: Any, *frames: Any) -> list[Any]:
    decoder = wire.Decoder(wire.Quirks())
    return [event for frame in frames for event in decoder.feed(frame)]


def test_openai_begins_with_one_update() -> None:
    assert openai.path("a/b c", openai.Quirks()) == "/realtime?model=a%2Fb%20c"
    pcm = {"type": "audio/pcm", "rate": 24_000}
    assert openai.opening(FULL, "m", openai.Quirks()) == [
        {
            "type": "session.update",
            "session": {
                "type": "realtime",
                "output_modalities": ["audio"],
                "audio": {
                    "input": {
                        "format": pcm,
                        "turn_detection": None,
                        "transcription": {"model": "gpt-transcribe", "language": "de"},
                    },
                    "output": {"format": pcm, "voice": "v"},
                },
                "instructions": "Be brief.",
                "tools": [{"type": "function", "name": "look", "description": "Look.", "parameters": LOOK.parameters}],
                "x": 1,
            },
        }
    ]
    (plain,) = openai.opening(PLAIN, "m", openai.Quirks())
    assert plain["session"]["output_modalities"] == ["text"]
    assert plain["session"]["audio"]["input"] == {"format": pcm, "turn_detection": {"type": "server_vad"}}


def test_openai_says_hears_answers_and_stops() -> None:
    quirks = openai.Quirks()
    assert [frame["type"] for frame in openai.text("hi", quirks)] == ["conversation.item.create", "response.create"]
    assert openai.sound(b"\x01\x02", FULL, quirks, first=True) == [
        {"type": "input_audio_buffer.append", "audio": SOUND}
    ]
    assert [frame["type"] for frame in openai.over(FULL, quirks)] == ["input_audio_buffer.commit", "response.create"]
    items = openai.results(RESULTS, quirks)
    assert [frame.get("item") for frame in items] == [
        {"type": "function_call_output", "call_id": "c1", "output": "far"},
        {"type": "function_call_output", "call_id": "c2", "output": "no"},
        None,
    ]
    assert openai.interrupt(quirks) == [{"type": "response.cancel"}]


def test_openai_frames_become_events() -> None:
    usage = {
        "input_tokens": 30,
        "output_tokens": 20,
        "input_token_details": {"cached_tokens": 5, "audio_tokens": 25},
        "output_token_details": {"audio_tokens": 15},
    }
    call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a": 1}'}
    assert fed(
        openai,
        {"type": "session.created"},
        {"type": "session.updated"},
        {"type": "input_audio_buffer.speech_started"},
        {"type": "conversation.item.input_audio_transcription.completed", "transcript": "hello"},
        {"type": "response.created"},
        {"type": "response.output_audio_transcript.delta", "delta": "Good "},
        {"type": "response.output_text.delta", "delta": "day"},
        {"type": "response.output_audio.delta", "delta": SOUND},
        {"type": "input_audio_buffer.speech_started"},
        {"type": "response.done", "response": {"id": "r1", "status": "cancelled", "usage": usage}},
        {"type": "response.done", "response": {"id": "r2", "status": "completed", "output": [call]}},
        {"type": "error", "error": {"code": "response_cancel_not_active"}},
        {"type": "rate_limits.updated"},
    ) == [
        Ready(),
        Words("hello", heard=True),
        Words("Good "),
        Words("day"),
        SoundOut(b"\x01\x02", 24_000),
        Interrupted(),
        TurnEnd("cancelled", Usage(input=30, output=20, cached=5, input_audio=25, output_audio=15), "r1"),
        Wanted((ToolCall("c1", "look", '{"a": 1}'),)),
        TurnEnd("tool_calls", None, "r2"),
    ]


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (
            {"type": "error", "error": {"type": "invalid_request_error", "code": "invalid_api_key", "message": "no"}},
            AuthError,
        ),
        (
            {"type": "response.done", "response": {"status": "failed", "status_details": {"error": {"message": "x"}}}},
            ProviderError,
        ),
    ],
)
def test_openai_errors_are_raised(frame: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        fed(openai, frame)


def test_gemini_begins_with_one_setup() -> None:
    assert gemini.path("m", gemini.Quirks()).endswith(
        "/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    )
    assert gemini.opening(FULL, "models/m", gemini.Quirks()) == [
        {
            "setup": {
                "model": "models/m",
                "generationConfig": {
                    "responseModalities": ["AUDIO"],
                    "temperature": 0.5,
                    "speechConfig": {
                        "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "v"}},
                        "languageCode": "de",
                    },
                },
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "tools": [
                    {
                        "functionDeclarations": [
                            {"name": "look", "description": "Look.", "parametersJsonSchema": LOOK.parameters}
                        ]
                    }
                ],
                "inputAudioTranscription": {},
                "outputAudioTranscription": {},
                "realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}},
                "x": 1,
            }
        }
    ]
    assert gemini.opening(PLAIN, "m", gemini.Quirks()) == [
        {"setup": {"model": "models/m", "generationConfig": {"responseModalities": ["TEXT"]}}}
    ]


def test_gemini_says_hears_answers_and_stops() -> None:
    quirks = gemini.Quirks()
    packed = {"realtimeInput": {"audio": {"data": SOUND, "mimeType": "audio/pcm;rate=16000"}}}
    assert gemini.sound(b"\x01\x02", FULL, quirks, first=True) == [{"realtimeInput": {"activityStart": {}}}, packed]
    assert gemini.sound(b"\x01\x02", FULL, quirks, first=False) == [packed]
    assert gemini.sound(b"\x01\x02", PLAIN, quirks, first=True) == [packed]
    assert gemini.over(FULL, quirks) == [{"realtimeInput": {"activityEnd": {}}}]
    assert gemini.over(PLAIN, quirks) == [{"realtimeInput": {"audioStreamEnd": True}}]
    assert gemini.text("hi", quirks) == [
        {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "hi"}]}], "turnComplete": True}}
    ]
    assert gemini.results(RESULTS, quirks) == [
        {
            "toolResponse": {
                "functionResponses": [
                    {"id": "c1", "name": "look", "response": {"output": "far"}},
                    {"id": "c2", "name": "look", "response": {"error": "no"}},
                ]
            }
        }
    ]


def test_gemini_frames_become_events() -> None:
    told = {
        "promptTokenCount": 30,
        "responseTokenCount": 20,
        "thoughtsTokenCount": 4,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}, {"modality": "AUDIO", "tokenCount": 25}],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
    }
    parts = [
        {"text": "hm", "thought": True},
        {"inlineData": {"mimeType": "audio/pcm;rate=48000", "data": SOUND}},
        {"text": "Good day"},
    ]
    assert fed(
        gemini,
        {"setupComplete": {}},
        {"serverContent": {"inputTranscription": {"text": "hello"}}},
        {"serverContent": {"modelTurn": {"parts": parts}, "outputTranscription": {"text": "Good"}}},
        {"toolCall": {"functionCalls": [{"id": "c1", "name": "look", "args": {"a": "é"}}, {"name": "look"}]}},
        {"toolCallCancellation": {"ids": ["c1"]}},
        {"serverContent": {"interrupted": True, "turnComplete": True}},
        {"serverContent": {"generationComplete": True}},
        {"usageMetadata": told, "serverContent": {"turnComplete": True}},
        {"goAway": {"timeLeft": "9.5s"}},
        {"sessionResumptionUpdate": {}},
    ) == [
        Ready(),
        Words("hello", heard=True),
        SoundOut(b"\x01\x02", 48_000),
        Words("Good day"),
        Words("Good"),
        Wanted((ToolCall("c1", "look", '{"a": "é"}'), ToolCall("", "look", "{}"))),
        Dropped(("c1",)),
        Interrupted(),
        TurnEnd("cancelled"),
        Used(Usage(input=30, output=24, reasoning=4, input_audio=25, output_audio=20)),
        TurnEnd("stop"),
        Leaving(9.5),
    ]
