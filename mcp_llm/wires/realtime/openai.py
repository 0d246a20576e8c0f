"""OpenAI's Realtime API: events with a `type` both ways, sound as base64.

https://platform.openai.com/docs/api-reference/realtime; the session's shape is that of the released version (`type`
"realtime", formats under `audio`), not the beta's.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mcp_llm.types.message import ToolCall
from mcp_llm.types.realtime import Interrupted, Ready, SoundOut, TurnEnd, Wanted, Words
from mcp_llm.types.usage import Usage
from mcp_llm.wires import failures
from mcp_llm.wires.body import merge
from mcp_llm.wires.counts import first, table

from . import contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcp_llm.types.chat import Stop
    from mcp_llm.types.message import Json, ToolResult
    from mcp_llm.types.realtime import RealtimeEvent, RealtimeRequest

_STOPS: Final[dict[str, Stop]] = {"completed": "stop", "cancelled": "cancelled", "incomplete": "length"}
HARMLESS: Final = frozenset({"response_cancel_not_active", "input_audio_buffer_commit_empty"})
"""Errors that only say that there was nothing to do."""


class Quirks(contract.Quirks):
    """What imitations of the dialect disagree on."""

    transcriber: str | None = "gpt-transcribe"
    """The model that writes down what is heard; None: the field is not sent."""


def path(model: str, quirks: Quirks) -> str:
    """The model is in the address."""
    return f"/realtime?model={quote(model, safe='')}"


def opening(request: RealtimeRequest, model: str, quirks: Quirks) -> list[Json]:
    """One `session.update`."""
    heard: dict[str, Any] = {"format": {"type": "audio/pcm", "rate": quirks.rate_in}}
    heard["turn_detection"] = {"type": "server_vad"} if request.listen else None
    if request.transcribe and quirks.transcriber:
        language = {"language": request.language} if request.language else {}
        heard["transcription"] = {"model": quirks.transcriber, **language}
    spoken: dict[str, Any] = {"format": {"type": "audio/pcm", "rate": quirks.rate_out}}
    if request.voice:
        spoken["voice"] = request.voice
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["audio" if request.speak else "text"],
        "audio": {"input": heard, "output": spoken},
    }
    if request.instructions:
        session["instructions"] = request.instructions
    if request.tools:
        session["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description or "",
                "parameters": tool.parameters,
            }
            for tool in request.tools
        ]
    return [{"type": "session.update", "session": merge(session, request.options)}]


def text(words: str, quirks: Quirks) -> list[Json]:
    """A message, and the wish for an answer."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
    return [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]


def sound(data: bytes, request: RealtimeRequest, quirks: Quirks, *, first: bool) -> list[Json]:
    """Onto the buffer."""
    return [{"type": "input_audio_buffer.append", "audio": base64.b64encode(data).decode()}]


def over(request: RealtimeRequest, quirks: Quirks) -> list[Json]:
    """The buffer becomes a message; where the vendor listens for itself, what was not yet taken for one."""
    return [{"type": "input_audio_buffer.commit"}, {"type": "response.create"}]


def results(results: Sequence[ToolResult], quirks: Quirks) -> list[Json]:
    """An item for each, and the wish for an answer."""
    items: list[Json] = [
        {
            "type": "conversation.item.create",
            "item": {"type": "function_call_output", "call_id": one.id, "output": one.text},
        }
        for one in results
    ]
    return [*items, {"type": "response.create"}]


def interrupt(quirks: Quirks) -> list[Json]:
    """Nothing more of this response."""
    return [{"type": "response.cancel"}]


class Decoder:
    """One session's."""

    def __init__(self, quirks: Quirks) -> None:
        self._rate = quirks.rate_out
        self._answering = False

    def feed(self, frame: Json) -> Iterator[RealtimeEvent]:
        """Events of other kinds say nothing that is needed here."""
        match frame["type"]:
            case "session.updated":
                yield Ready()
            case "response.created":
                self._answering = True
            case "response.output_audio.delta":
                yield SoundOut(base64.b64decode(frame["delta"]), self._rate)
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                yield Words(frame["delta"])
            case "conversation.item.input_audio_transcription.completed":
                yield Words(frame["transcript"], heard=True)
            case "input_audio_buffer.speech_started" if self._answering:
                yield Interrupted()
            case "response.done":
                self._answering = False
                yield from self._done(frame["response"])
            case "error":
                if frame["error"].get("code") not in HARMLESS:
                    raise failures.from_data(frame, headers={})

    def _done(self, response: Json) -> Iterator[RealtimeEvent]:
        status = response["status"]
        if status == "failed":
            details = response.get("status_details") or {}
            raise failures.from_data({"error": details.get("error") or {"message": "the answer failed"}}, headers={})
        calls = [one for one in response.get("output") or () if one.get("type") == "function_call"]
        if calls and status == "completed":
            yield Wanted(tuple(ToolCall(one["call_id"], one["name"], one.get("arguments") or "") for one in calls))
        reason = (response.get("status_details") or {}).get("reason")
        stop: Stop = "tool_calls" if calls else _STOPS.get(status, "other")
        yield TurnEnd(
            "content_filter" if reason == "content_filter" else stop, _usage(response.get("usage")), response.get("id")
        )


def _usage(told: Json) -> Usage | None:
    if not isinstance(told, dict) or not told:
        return None
    into, out = table(told, "input_token_details"), table(told, "output_token_details")
    return Usage(
        input=first(told.get("input_tokens")),
        output=first(told.get("output_tokens")),
        cached=first(into.get("cached_tokens")),
        input_audio=first(into.get("audio_tokens")),
        input_image=first(into.get("image_tokens")),
        output_audio=first(out.get("audio_tokens")),
    )
