"""OpenAI's `/audio/transcriptions` and those who imitate it: Groq, Mistral, OpenRouter, local servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from mcp_llm.errors import Garbled, Unsupported
from mcp_llm.types.transcribe import Segment, Transcript
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.counts import amount, dollars, first, table
from mcp_llm.wires.whole import body, events, fields, is_stream, untaken

if TYPE_CHECKING:
    from mcp_llm.types.message import Json
    from mcp_llm.types.transcribe import TranscribeRequest

SPELLINGS: Final[dict[str, str]] = {
    "prompt": "prompt",
    "language": "language",
    "stream": "stream",
    "timestamp_granularities": "timestamps",
    "response_format": "timestamps",
}
MIB: Final = 1024 * 1024


class Quirks(base.Quirks):
    """What imitations of the dialect disagree on."""

    path: str = "/audio/transcriptions"
    translate_path: str | None = None
    """Where speech is written down in English; None: it is not (of OpenAI's models only the retiring ones do)."""
    max_bytes: int = 25 * MIB
    """Bytes of one file; longer recordings go in pieces."""
    takes: tuple[Literal["language", "prompt", "timestamps", "diarize", "stream"], ...] = (
        "language",
        "prompt",
        "timestamps",
        "diarize",
        "stream",
    )
    timestamps: Literal["verbose_json", "granularities"] = "verbose_json"
    """Times need this response format, or only the field `timestamp_granularities` (Mistral)."""
    granularities: str = "timestamp_granularities[]"
    diarize: Literal["diarized_json", "field"] = "diarized_json"
    """Speakers need this response format, or the field `diarize` (Mistral)."""


def encode(request: TranscribeRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """A form with the file last."""
    path = quirks.path
    if request.translate:
        if quirks.translate_path is None:
            raise Unsupported(f"{model} does not translate: leave `translate` out, and ask a chat model afterwards")
        path = quirks.translate_path
    wants: dict[str, Any] = {"model": model}
    warnings = untaken(request, {"language", "prompt", "timestamps", "diarize"} - set(quirks.takes), model)
    wanted = {name: value for name in quirks.takes if (value := getattr(request, name)) not in (None, False)}
    for name in ("language", "prompt"):
        if name in wanted:
            wants[name] = wanted[name]
    if "diarize" in wanted and quirks.diarize == "diarized_json":
        wants |= {"response_format": "diarized_json", "chunking_strategy": "auto"}
        if wanted.pop("timestamps", None) == "word":
            warnings.append("`timestamps` of words were not asked for: with speakers there are segments only")
    elif "diarize" in wanted:
        wants["diarize"] = True
    if "timestamps" in wanted:
        if quirks.timestamps == "verbose_json":
            wants["response_format"] = "verbose_json"
        wants[quirks.granularities] = wanted["timestamps"]
    if "stream" in wanted:
        wants["stream"] = True
    form = [one for name, value in {**wants, **request.options}.items() for one in fields(name, value)]
    form.append(base.Field("file", request.data, request.name, request.mime))
    return base.HttpRequest(method="POST", path=path, form=form, stream="stream" in wanted, warnings=warnings)


def piece(event: Json) -> str | None:
    """The words of an event in a stream."""
    if isinstance(event, dict) and event.get("type") in {"transcript.text.delta", "transcription.text.delta"}:
        words = event.get("delta", event.get("text"))
        return words if isinstance(words, str) else None
    return None


def decode(reply: base.HttpReply, request: TranscribeRequest, quirks: Quirks) -> Transcript:
    """JSON, events, or the words alone where a server sends plain text."""
    if is_stream(reply):
        return _stream(events(reply))
    if reply.headers.get("content-type", "").startswith("text/plain") and reply.body[:1] not in {b"{", b"["}:
        return Transcript(reply.body.decode("utf-8", "replace"))
    data = body(reply)
    text = data["text"]
    if not isinstance(text, str):
        raise TypeError("text")
    return Transcript(
        text=text,
        segments=[_segment(one) for one in data.get("segments") or ()],
        words=[_segment(one) for one in data.get("words") or ()],
        language=data.get("language") or next((one.get("code") for one in data.get("languages") or ()), None),
        duration=data.get("duration"),
        usage=_usage(table(data, "usage"), data.get("duration")),
        model=data.get("model"),
        id=data.get("id") or (data.get("x_groq") or {}).get("id"),
    )


def _stream(found: list[dict[str, Any]]) -> Transcript:
    done = next((one for one in found if str(one.get("type", "")).endswith(".done")), None)
    if done is None:
        raise Garbled("the stream ended before the transcript did")
    segments = [_segment(one) for one in found if str(one.get("type", "")).endswith(".segment")]
    said = done.get("text")
    text = said if isinstance(said, str) else "".join(words for one in found if (words := piece(one)))
    return Transcript(text, segments, language=done.get("language"), usage=_usage(table(done, "usage"), None))


def _segment(one: dict[str, Any]) -> Segment:
    words, speaker = one.get("text", one.get("word")), one.get("speaker", one.get("speaker_id"))
    return Segment(
        text=words if isinstance(words, str) else "",
        start=one.get("start"),
        end=one.get("end"),
        speaker=None if speaker is None else str(speaker),
    )


def _usage(told: dict[str, Any], duration: Json) -> Usage:
    details = table(told, "input_token_details") or table(told, "prompt_tokens_details")
    output, total = first(told.get("output_tokens"), told.get("completion_tokens")), first(told.get("total_tokens"))
    # Some vendors' prompt_tokens leave the sound out, which their total has in it.
    heard = None if total is None else total - (output or 0)
    seconds = amount(told.get("seconds", told.get("prompt_audio_seconds")))
    return Usage(
        input=first(told.get("input_tokens"), heard, told.get("prompt_tokens")),
        output=output,
        input_audio=first(details.get("audio_tokens")),
        seconds=amount(duration) if seconds is None else seconds,
        usd=dollars(told),
    )
