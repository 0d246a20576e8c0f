"""Messages -> turns of Anthropic's dialect: one block for one part, the wire's own state back where it was."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput, Unsupported
from mcp_llm.types.message import Media, Opaque, Text, Thinking, ToolCall, ToolResult
from mcp_llm.wires.arguments import as_object

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_llm.types.message import Message

    from .quirks import Quirks

Block = dict[str, Any]

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_TEXTS: Final = re.compile(
    r"text/.*|application/(json|xml|yaml|x-yaml|toml|javascript|x-javascript|ecmascript|sql|x-sh|x-ndjson)|.*\+(json|xml)"
)
_ADVICE: Final = {
    "audio": "transcribe it first (transcribe) and send the words",
    "video": "send single pictures of it",
    "image": "convert it to PNG or JPEG",
    "file": "convert it to PDF or plain text",
}


def turns(messages: Iterable[Message], quirks: Quirks, warnings: list[str]) -> list[Block]:
    """The turns, those of the user merged; empty ones are left out. Raises `Unsupported` for media it cannot carry."""
    found: list[Block] = []
    results: list[Block] = []
    words: list[Block] = []
    shown: list[Block] = []

    def say() -> None:
        # The API wants the answers to all calls in one turn, before anything else in it.
        if results or words or shown:
            found.append({"role": "user", "content": [*results, *shown, *words]})
            for blocks in (results, shown, words):
                blocks.clear()

    for message in messages:
        if message.role == "user":
            _user(message, quirks, results, words)
        else:
            said, drawn = _assistant(message, quirks, warnings)
            if said:
                say()
                found.append({"role": "assistant", "content": said})
            shown += drawn
    say()
    if found and found[0]["role"] == "assistant":
        found.insert(0, {"role": "user", "content": [{"type": "text", "text": "(The conversation begins.)"}]})
    return found


def _assistant(message: Message, quirks: Quirks, warnings: list[str]) -> tuple[list[Block], list[Block]]:
    """The model's turn, and the media of it, which only users may show here."""
    blocks: list[Block] = []
    drawn: list[Block] = []
    # What the model itself wrote goes back to the letter, blank blocks too: signatures are bound to what is before.
    own = any(getattr(part, "echo", None) for part in message.parts)
    for part in message.parts:
        if isinstance(part, Text):
            if part.text.strip() or (own and part.text):
                blocks.append({"type": "text", "text": part.text, **(part.echo or {})})
        elif isinstance(part, Thinking):
            if part.echo or quirks.unsigned_thinking:
                blocks.append({"type": "thinking", "thinking": part.text, "signature": "", **(part.echo or {})})
            else:
                _once(warnings, "Reasoning without its signature cannot be sent back; it was left out.")
        elif isinstance(part, ToolCall):
            call = {"type": "tool_use", "id": part.id, "name": part.name, "input": as_object(part.arguments)}
            blocks.append({**call, **(part.echo or {})})
        elif isinstance(part, Opaque):
            blocks.append(part.echo)
        elif isinstance(part, Media):
            drawn += [{"type": "text", "text": "(From the turn before:)"}, _media(part, quirks)]
    return blocks, drawn


def _user(message: Message, quirks: Quirks, results: list[Block], words: list[Block]) -> None:
    for part in message.parts:
        if isinstance(part, ToolResult):
            result: Block = {"type": "tool_result", "tool_use_id": part.id}
            if content := [block for piece in part.parts if (block := _piece(piece, quirks)) is not None]:
                result["content"] = content
            if part.is_error:
                result["is_error"] = True
            results.append(result)
        elif isinstance(part, Text | Media) and (block := _piece(part, quirks)) is not None:
            words.append(block)


def _piece(part: Text | Media, quirks: Quirks) -> Block | None:
    if isinstance(part, Media):
        return _media(part, quirks)
    return {"type": "text", "text": part.text} if part.text.strip() else None


def _media(part: Media, quirks: Quirks) -> Block:
    mime = "image/jpeg" if part.mime == "image/jpg" else part.mime
    name = {"title": part.name} if part.name else {}
    if part.data is None and part.url is None:
        raise InvalidInput(f"A {part.modality} part has neither data nor a URL; give it one of them.")
    if mime in _IMAGES or (part.modality == "image" and part.data is None):
        return {"type": "image", "source": _source(part, mime, quirks)}
    if part.modality == "pdf":
        return {"type": "document", "source": _source(part, mime, quirks), **name}
    if part.data is not None and _TEXTS.fullmatch(mime):
        words = _decoded(part.data)
        if not words.strip():
            return {"type": "text", "text": f"(The file {part.name or ''} is empty.)".replace("  ", " ")}
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": words}, **name}
    if part.data is None and part.modality == "file":
        raise Unsupported("This provider fetches only pictures and PDFs; download the file and send its data.")
    raise Unsupported(f"This provider's models cannot read {mime}: {_ADVICE[part.modality]}, or ask another model.")


def _source(part: Media, mime: str, quirks: Quirks) -> Block:
    if part.data is not None:
        return {"type": "base64", "media_type": mime, "data": part.data}
    if not quirks.media_urls:
        raise Unsupported(f"This provider does not fetch URLs; download the {part.modality} and send its data.")
    return {"type": "url", "url": part.url}


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data).decode("utf-8", "replace")
    except ValueError:
        raise InvalidInput("The data of a text file is not base64; encode its bytes.") from None


def _once(warnings: list[str], words: str) -> None:
    if words not in warnings:
        warnings.append(words)
