"""Messages -> `contents` of Google's dialect: one part for one part, the wire's own state back where it was."""

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

DUMMY_SIGNATURE: Final = base64.b64encode(b"skip_thought_signature_validator").decode()
"""The documented signature for calls that the model did not write; the field is bytes, so base64 on the wire."""

_OWN_URLS: Final = re.compile(
    r"gs://|https://generativelanguage\.googleapis\.com/|https://(www\.)?(youtube\.com|youtu\.be)/"
)


def contents(messages: Iterable[Message], quirks: Quirks) -> list[dict[str, Any]]:
    """The turns; empty ones are left out. Raises `Unsupported` for media that the wire cannot carry."""
    turns: list[dict[str, Any]] = []
    calls: dict[str, tuple[str, str | None]] = {}
    for message in messages:
        if message.role == "assistant":
            role, parts = "model", _model(message, quirks, calls)
        else:
            role, parts = "user", _user(message, quirks, calls)
        if parts:
            turns.append({"role": role, "parts": parts})
    return turns


def _model(message: Message, quirks: Quirks, calls: dict[str, tuple[str, str | None]]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    unsigned = quirks.dummy_signature
    for part in message.parts:
        if isinstance(part, Text | Thinking):
            if part.text or part.echo:
                thought = {"thought": True} if isinstance(part, Thinking) else {}
                parts.append({"text": part.text, **thought, **(part.echo or {})})
        elif isinstance(part, ToolCall):
            rest = dict(part.echo or {})
            own = rest.pop("id", None) if part.echo is not None else (part.id if quirks.call_ids else None)
            calls[part.id] = (part.name, own)
            call: dict[str, Any] = {"id": own} if own else {}
            call["name"] = part.name
            if part.arguments:
                call["args"] = as_object(part.arguments)
            # Of parallel calls only the first is signed.
            if unsigned and part.echo is None:
                rest["thoughtSignature"] = DUMMY_SIGNATURE
            unsigned = False
            parts.append({"functionCall": call, **rest})
        elif isinstance(part, Media):
            parts.append(_media(part, quirks))
        elif isinstance(part, Opaque):
            parts.append(part.echo)
    return parts


def _user(message: Message, quirks: Quirks, calls: dict[str, tuple[str, str | None]]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            name, own = calls.get(part.id, (part.name, part.id if quirks.call_ids else None))
            response: dict[str, Any] = {"id": own} if own else {}
            response["name"] = part.name or name
            response["response"] = {"error" if part.is_error else "output": part.text}
            media = [_media(item, quirks) for item in part.parts if isinstance(item, Media)]
            if media and quirks.result_media:
                response["parts"] = media
            else:
                parts.extend(media)
            results.append({"functionResponse": response})
        elif isinstance(part, Text):
            if part.text:
                parts.append({"text": part.text})
        elif isinstance(part, Media):
            parts.append(_media(part, quirks))
    return results + parts  # answers to the calls come first in their turn


def _media(part: Media, quirks: Quirks) -> dict[str, Any]:
    rest = part.echo or {}
    if part.data is not None:
        return {"inlineData": {"mimeType": part.mime, "data": part.data}, **rest}
    if part.url is None:
        raise InvalidInput(f"A {part.modality} part has neither data nor a URL; give it one of them.")
    if not quirks.media_urls and not _OWN_URLS.match(part.url):
        raise Unsupported(
            f"This provider does not fetch {part.modality} URLs of other sites; download the file and send its data."
        )
    return {"fileData": {"mimeType": part.mime, "fileUri": part.url}, **rest}
