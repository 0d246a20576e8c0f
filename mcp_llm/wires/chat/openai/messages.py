"""Messages and their parts as Chat Completions has them: one system message, a message for each tool result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Unsupported
from mcp_llm.types.message import Media, Text, Thinking, ToolCall, ToolResult
from mcp_llm.types.remembered import remembered
from mcp_llm.wires.arguments import as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.types.message import Message, Part

    from .quirks import Quirks

_SOUND: Final = {"mpeg": "mp3", "mpga": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-m4a": "m4a"}
_BRIDGE: Final = "OK."


def messages(history: Sequence[Message], system: str, quirks: Quirks, warnings: list[str]) -> list[dict[str, Any]]:
    """The whole conversation; raises `Unsupported` for media that the vendor cannot read."""
    turns: list[dict[str, Any]] = []
    if system:
        turns.append({"role": quirks.system_role, "content": system})
    role: str | None = quirks.system_role if system else None
    for message in history:
        spoken, told = _spoken(message, quirks)
        warnings += told
        for turn in spoken:
            before, role = role, turn["role"]
            if before == role:
                joined = _joined(turns[-1], turn, anywhere=quirks.alternate, first=len(turns) == 1 and bool(system))
                if joined is not None:
                    turns[-1] = joined
                    continue
            elif before == "tool" and role == "user" and quirks.bridge:
                turns.append({"role": "assistant", "content": _BRIDGE})
            turns.append(turn)
    return turns


@remembered
def _spoken(message: Message, quirks: Quirks) -> tuple[list[dict[str, Any]], list[str]]:
    """The turns of one message, and what to tell of them."""
    warnings: list[str] = []
    turns = _assistant(message, quirks, warnings) if message.role == "assistant" else _user(message, quirks)
    return turns, warnings


def _joined(last: dict[str, Any], turn: dict[str, Any], *, anywhere: bool, first: bool) -> dict[str, Any] | None:
    """A turn with the words of the one after it, where two of this role must not follow each other."""
    if turn["role"] == "tool" or not (anywhere or (first and turn["role"] == "user")):
        return None
    if turn["role"] == "assistant" and (last.keys() | turn.keys()) != {"role", "content"}:
        return None
    old, new = last["content"], turn["content"]
    if isinstance(old, str) and isinstance(new, str):
        return {**last, "content": f"{old}\n\n{new}"}
    return {**last, "content": [*_pieces(old), *_pieces(new)]}


def _pieces(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_words(content)] if isinstance(content, str) else content


def _words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


# The user's side


def _user(message: Message, quirks: Quirks) -> list[dict[str, Any]]:
    """Results first, as the vendors want them right after the calls; then everything else in one message."""
    turns: list[dict[str, Any]] = []
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if not isinstance(part, ToolResult):
            content.append(_content(part, quirks))
            continue
        turns.append({"role": "tool", "tool_call_id": part.id, "content": part.text})
        media = [piece for piece in part.parts if isinstance(piece, Media)]
        if media:  # a tool message holds nothing but text
            content.append(_words(f"What the tool {part.name} returned:"))
            content.extend(_content(piece, quirks) for piece in media)
    if content:
        plain = all(piece["type"] == "text" for piece in content)
        # A plain string, because many compatible servers do not take lists.
        turns.append({"role": "user", "content": "\n\n".join(piece["text"] for piece in content) if plain else content})
    return turns


def _content(part: Part, quirks: Quirks) -> dict[str, Any]:
    if isinstance(part, Text):
        return _words(part.text)
    if not isinstance(part, Media):
        raise Unsupported(f"A part of type {part.type} cannot stand in a user's message.")
    if part.data is None and part.url is None:
        raise Unsupported("Media need data or a url.")
    source = f"data:{part.mime};base64,{part.data}" if part.data is not None else str(part.url)
    if part.modality == "image":
        if part.data is None and not quirks.remote_images:
            raise Unsupported("This provider does not fetch images by URL: give the image's data, or a file.")
        return {"type": "image_url", "image_url": {"url": source}}
    if part.modality == "audio":
        return _audio(part, quirks)
    if part.modality == "video":
        if not quirks.video:
            raise Unsupported("This provider takes no video: send frames of it as images, or ask another model.")
        return {"type": "video_url", "video_url": {"url": source}}
    return _file(part, source, quirks)


def _audio(part: Media, quirks: Quirks) -> dict[str, Any]:
    if quirks.audio == "none":
        raise Unsupported("This provider takes no audio: transcribe it first, or ask a model of another provider.")
    if quirks.audio == "string":
        return {"type": "input_audio", "input_audio": part.url if part.data is None else part.data}
    if part.data is None:
        raise Unsupported("This provider does not fetch audio by URL: give its data, or a file.")
    kind = part.mime.partition(";")[0].rpartition("/")[2].lower()
    form = _SOUND.get(kind, kind)
    if quirks.audio_formats and form not in quirks.audio_formats:
        raise Unsupported(f"This provider takes audio as {' or '.join(quirks.audio_formats)}, not {form}: convert it.")
    return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}}


def _file(part: Media, source: str, quirks: Quirks) -> dict[str, Any]:
    if quirks.files == "none":
        raise Unsupported(f"This provider takes no {part.modality}: send its text, or its pages as images.")
    if quirks.files == "document_url":
        named = {"document_name": part.name} if part.name else {}
        return {"type": "document_url", "document_url": source, **named}
    if part.data is None and not quirks.remote_files:
        raise Unsupported("This provider does not fetch documents by URL: give the document's data, or a file.")
    name = part.name or ("document.pdf" if part.modality == "pdf" else "document")
    return {"type": "file", "file": {"filename": name, "file_data": source}}


# The model's side


def _assistant(message: Message, quirks: Quirks, warnings: list[str]) -> list[dict[str, Any]]:
    """One message; none where a turn has nothing that this dialect could say."""
    calls = [_call(part) for part in message.tool_calls]
    turn: dict[str, Any] = {"role": "assistant", "content": message.text}
    _think(turn, message, quirks, required=bool(calls) and quirks.reasoning_required)
    for part in message.parts:
        if not isinstance(part, Media):
            continue
        if part.echo and "audio" in part.echo:
            turn["audio"] = part.echo["audio"]
        else:
            warnings.append("Media made by a model cannot be shown to this one as its own; they were left out.")
    if calls:
        turn["tool_calls"] = calls
        if not turn["content"] and quirks.null_content:
            turn["content"] = None
    return [turn] if turn["content"] or len(turn) > 2 else []


def _think(turn: dict[str, Any], message: Message, quirks: Quirks, *, required: bool) -> None:
    """Earlier reasoning where and as the vendor wants it back."""
    name = quirks.reasoning_field
    if name is None:
        return
    thinking = message.thinking
    if name == "content":
        if thinking:
            pieces = [{"type": "thinking", "thinking": [_words(thinking)]}]
            turn["content"] = [*pieces, _words(message.text)] if message.text else pieces
        return
    if name == "reasoning_details":
        thoughts = (part for part in message.parts if isinstance(part, Thinking) and part.echo)
        details = [item for part in thoughts for item in (part.echo or {}).get("reasoning_details", ())]
        if details:
            turn[name] = details
            return
        name = "reasoning"
    if thinking or required:
        turn[name] = thinking


def _call(call: ToolCall) -> dict[str, Any]:
    echo = call.echo or {}
    more = {"extra_content": echo["extra_content"]} if "extra_content" in echo else {}
    if echo.get("custom"):
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}, **more}
    function = {"name": call.name, "arguments": as_text(call.arguments)}
    return {"id": call.id, "type": "function", "function": function, **more}
