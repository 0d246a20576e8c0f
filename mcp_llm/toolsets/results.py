"""A tool's result at a size that a model's window can take: the first part, and a handle to the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from mcp_llm.errors import Error
from mcp_llm.types.message import Media, Text, ToolResult

from . import text as cleaned

MOST_BYTES: Final = 256 * 1024
"""Of text in one result, UTF-8."""
MOST_MEDIA: Final = 20 * 1024 * 1024
"""Characters of base64 in one result."""
_NOTE_BYTES: Final = 400

Overflow: TypeAlias = Callable[[str, str], Awaitable[str]]
"""`(call id, the whole text) -> handle`: keeps what does not fit, and says in a few words how to read it."""


async def fit(result: ToolResult, overflow: Overflow | None = None, most: int = MOST_BYTES) -> ToolResult:
    """The result, its text cut to `most` bytes with a sentence on where the rest is, its media to 20 MiB."""
    media = sum(len(part.data or "") for part in result.parts if isinstance(part, Media))
    # A character has one byte at least and four at most: most results need no encoding to be measured.
    length = sum(len(part.text) for part in result.parts if isinstance(part, Text))
    if media <= MOST_MEDIA and length * 4 <= most:
        return result
    text = "".join(part.text for part in result.parts if isinstance(part, Text))
    size = len(text.encode("utf-8", "replace"))
    where = await _where(overflow, result.id, text) if size > most else ""
    kept: list[Text | Media] = []
    left, left_media, dropped = (most - _NOTE_BYTES if size > most else most), MOST_MEDIA, 0
    for part in result.parts:
        if isinstance(part, Media):
            left_media -= len(part.data or "")
            if left_media >= 0:
                kept.append(part)
            else:
                dropped += 1
            continue
        data = part.text[:left].encode("utf-8", "replace")
        piece = data[:left].decode("utf-8", "ignore") if len(data) > left else part.text[:left]
        left -= min(len(data), left)
        if piece:
            kept.append(Text(piece))
    notes = []
    if size > most:
        notes.append(f"[cut: the first {(most - _NOTE_BYTES) // 1024} of {size // 1024} KiB are shown; {where}]")
    if dropped:
        notes.append(f"[{dropped} media left out: a result may hold {MOST_MEDIA // 1024 // 1024} MiB]")
    if notes:
        kept.append(Text("\n" + "\n".join(notes)))
    return ToolResult(result.id, result.name, tuple(kept), result.is_error)


async def _where(overflow: Overflow | None, call_id: str, text: str) -> str:
    """Where the rest is. On a full disk it is nowhere, but the call was made, and its result is what counts."""
    if overflow is None:
        return "the rest was not kept; ask for a smaller part"
    try:
        return f"the rest: {(await overflow(call_id, text))[:250]}"
    except Exception as error:
        why = cleaned.line(str(error), 200) if isinstance(error, Error) else type(error).__name__
        return f"the rest could not be kept ({why}); ask for a smaller part"
