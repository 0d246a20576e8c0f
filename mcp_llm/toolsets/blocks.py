"""An MCP result's content blocks -> parts of ours: words made visible, media kept, everything else described. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from mcp_types import (
    AudioContent,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from mcp_llm.types.message import Media, Text

from . import text

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock

_MIME: Final = re.compile(r"[a-z]+/[A-Za-z0-9.+-]{1,100}")
# Possessive: what can be gone back over takes days where a server sends megabytes of blanks, and all others wait.
_BASE64: Final = re.compile(r"[A-Za-z0-9+/\s]*+={0,2}\s*+")
_SHOWN: Final = ("image/", "audio/", "video/", "application/pdf")


def parts(result: CallToolResult) -> tuple[Text | Media, ...]:
    """The result's content in its order; structured content is added where the texts do not say it already."""
    found: list[Text | Media] = []
    texts: list[str] = []
    for block in result.content:
        if isinstance(block, TextContent):
            texts.append(block.text)
            found.append(Text(text.visible(block.text)))
        elif isinstance(block, ImageContent | AudioContent):
            found.append(_media(block.mime_type, block.data, "media"))
        elif isinstance(block, ResourceLink):
            found.append(Text(f"[resource {text.line(block.name)}: {text.line(block.uri, 2000)}]"))
        elif isinstance(block, EmbeddedResource):
            found.append(_resource(block))
    structured = result.structured_content
    if structured is not None and not _said(structured, texts):
        found.append(Text(text.visible(_json(structured))))
    return _separated(found)


def weight(result: CallToolResult) -> int:
    """Characters that `parts` looks through, to know whether that is worth a thread; structured content not counted."""
    return sum(_length(block) for block in result.content)


def _length(block: ContentBlock) -> int:
    if isinstance(block, TextContent):
        return len(block.text)
    if isinstance(block, ImageContent | AudioContent):
        return len(block.data)
    if isinstance(block, EmbeddedResource):
        return len(block.resource.text if isinstance(block.resource, TextResourceContents) else block.resource.blob)
    return 0


def _said(structured: Any, texts: list[str]) -> bool:
    """Whether a text repeats the structured content, as the specification asks servers to."""
    if isinstance(structured, dict) and set(structured) == {"result"}:
        inner = structured["result"]
        if isinstance(inner, str):
            return inner in texts
        if isinstance(inner, list) and len(inner) == len(texts):
            return True  # a list of results, each its own block
        structured = inner if not isinstance(inner, dict | list) else structured
    for words in texts:
        if not isinstance(structured, dict | list):
            if words == str(structured) or words == _json(structured):
                return True
            continue
        if not words.lstrip().startswith(("{", "[")) or len(words) > 1024 * 1024:
            continue
        try:
            if json.loads(words) == structured:
                return True
        except (ValueError, RecursionError):
            continue
    # Too long to compare: a text of about the size has it.
    return any(len(words) > 1024 * 1024 for words in texts)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return "[structured content that cannot be written as JSON]"


def _media(mime: str, data: str, name: str) -> Text | Media:
    if not _MIME.fullmatch(mime) or not mime.startswith(_SHOWN):
        return Text(f"[{text.line(name)} of type {text.line(mime, 60)!r} was left out]")
    if not _BASE64.fullmatch(data):
        return Text(f"[{text.line(name)} of type {mime} was left out: it is no base64]")
    return Media(mime=mime, data="".join(data.split()) if any(mark in data for mark in "\r\n\t ") else data)


def _resource(block: EmbeddedResource) -> Text | Media:
    held = block.resource
    where = text.line(str(held.uri), 500)
    if isinstance(held, TextResourceContents):
        return Text(f"[resource {where}]\n{text.visible(held.text)}")
    return _media(held.mime_type or "application/octet-stream", held.blob, f"resource {where}")


def _separated(found: list[Text | Media]) -> tuple[Text | Media, ...]:
    """Neighbouring texts are different blocks: a line break keeps them apart when they are joined."""
    kept: list[Text | Media] = []
    for part in found:
        before = kept[-1] if kept else None
        if isinstance(part, Text) and isinstance(before, Text) and not before.text.endswith("\n"):
            kept[-1] = Text(before.text + "\n")
        kept.append(part)
    return tuple(kept)
