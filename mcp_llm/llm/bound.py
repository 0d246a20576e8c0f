"""The most input tokens that a request can be: what is held of a budget. What people are shown is the likely number.

No tokenizer that vendors use makes more tokens of a text than it has bytes of UTF-8. Words of ASCII letters take fewer:
at least two characters a token for what can be said aloud, which random letters, base64, digits and signs cannot.
Compared with three vendors' tokenizers (cl100k, o200k and Claude 2's) over prose, code, JSON, ten scripts and noise:
never less than theirs, twice theirs for English.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Final

from mcp_llm.catalog.tariff import KINDS
from mcp_llm.types.message import Media, ToolResult
from mcp_llm.types.remembered import remembered

if TYPE_CHECKING:
    from mcp_llm.catalog.schema import Facts
    from mcp_llm.types.chat import ChatRequest, ToolSpec
    from mcp_llm.types.message import Json, Message

PICTURE: Final = 10_000
"""What the largest picture is scaled to is less; of a model where it is not, the catalog says so."""
PAGE: Final = 8_000
"""A page of a PDF: 3,000 of text at most, and a picture of it (Anthropic: 4,784)."""
FILE: Final = 1_000_000
"""A PDF, sound or film of which nothing is known: as much as any model reads."""
CHARACTER: Final = 4
"""Tokens of a character of which only the number is known: its bytes."""
_A_SECOND: Final = 20
"""Bytes for a token of sound or film: 32 tokens a second (Gemini) of the thinnest recording that is spoken into."""
_MESSAGE: Final = 10
_TOOLS: Final = 1_000
"""What a vendor tells its model about tools; Anthropic up to 700 tokens."""
_TOOL: Final = 30
_SHORT: Final = re.compile(
    r" ?(?<![A-Za-z0-9])(?![A-Za-z]?[a-z]*(?:[b-df-hj-np-tv-xz]{4}|[jkqvwxz][bdfgjkmqvwxz]))"
    r"[A-Z]?[a-z]{1,14}(?![A-Za-z0-9])|[ \t]{2,}"
)
"""Words, each with the space before it, and runs of blanks: two characters a token or more."""
_LONG: Final = 32
"""Words that are as long are not remembered: they hardly come again, and may be megabytes."""
_MANY: Final = 4096
"""Words that are remembered."""
_LEAF: Final = re.compile(rb"/Type\s*/Page(?![A-Za-z])")


def tokens(request: ChatRequest, facts: Facts | None) -> int:
    """Of the whole request; not more than the model's context, beyond which it is refused. None: of any model."""
    picture = (None if facts is None else facts.picture_tokens) or PICTURE
    context = None if facts is None else facts.context
    total = _MESSAGE + text(request.system or "")
    total += sum(_message(message, picture) for message in request.messages)
    if request.tools:
        total += _TOOLS + sum(_tool(tool, None) for tool in request.tools)
    if request.json_schema:
        total += _TOOLS + _json(request.json_schema)
    return total if context is None else min(total, context)


def kinds(request: ChatRequest, extra: Json = None) -> frozenset[str]:
    """What it holds of what has a rate of its own (`catalog.tariff.KINDS`); `extra` is what the model's facts add."""
    found = {kind for message in request.messages for kind in _kinds(message, None)}
    if "1h" in str(request.options) or "1h" in str(extra):  # `cache_control` has `ttl`, wherever it stands
        found.add("long cache")
    return KINDS & found


@remembered
def _kinds(message: Message, _: None) -> frozenset[str]:
    inside = [piece for part in message.parts if isinstance(part, ToolResult) for piece in part.parts]
    found = {part.modality for part in (*message.parts, *inside) if isinstance(part, Media)}
    # Films have sound, and pages are looked at.
    return frozenset(found | {"audio"} if "video" in found else found | {"image"} if "pdf" in found else found)


def text(words: str) -> int:
    """Of a text in any script."""
    size = len(words.encode("utf-8", "replace"))
    if "  " in words or "\t" in words:  # runs of blanks count over words
        return size - _letters(words) // 2
    first, *rest = words.split(" ")
    return size - (_letters(first) + sum(map(_WORDS.__getitem__, rest))) // 2


def _letters(words: str) -> int:
    """Characters of words and blanks that take two for a token."""
    return len("".join(_SHORT.findall(words)))


class _Words(dict[str, int]):
    """`_letters` of words behind a space: most of a text's were seen before, and looking is what takes long."""

    def __missing__(self, word: str) -> int:
        found = _letters(" " + word)
        if len(word) < _LONG:
            if len(self) >= _MANY:
                self.clear()
            self[word] = found
        return found


_WORDS: Final = _Words()


@remembered
def _message(message: Message, picture: int) -> int:
    total = _MESSAGE
    for part in message.parts:
        if isinstance(part, Media):
            total += _media(part, picture)
        elif isinstance(part, ToolResult):
            total += text(part.text) + _MESSAGE
            total += sum(_media(piece, picture) for piece in part.parts if isinstance(piece, Media))
        else:
            total += text(getattr(part, "text", "")) + text(getattr(part, "arguments", ""))
            total += text(getattr(part, "name", None) or "") + _MESSAGE
            if part.echo:  # reasoning that goes back as it came, in base64
                total += len(str(part.echo)) // 3
    return total


@remembered
def _tool(tool: ToolSpec, _: None) -> int:
    return _TOOL + text(tool.name) + text(tool.description) + _json(tool.parameters)


def _json(value: Json) -> int:
    return text(json.dumps(value, ensure_ascii=False))


def _media(part: Media, picture: int) -> int:
    if part.modality == "image":
        return picture
    if part.data is None:
        return FILE
    size = len(part.data) * 3 // 4
    if part.modality in {"audio", "video"}:
        return size // _A_SECOND + 1_000
    if part.modality == "pdf":
        data = b64decode(part.data)
        pages = len(_LEAF.findall(data))
        # Where the pages are compressed, nobody knows how many there are: a byte says no more than a token.
        return min(PAGE * pages, max(size, PAGE)) if pages and b"/ObjStm" not in data else max(size, PAGE)
    return size
