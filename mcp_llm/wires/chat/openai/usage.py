"""`usage` of Chat Completions and its many relatives -> our token counts and the money that the vendor reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_llm.types.usage import Usage
from mcp_llm.wires.counts import dollars, first, table

if TYPE_CHECKING:
    from mcp_llm.types.message import Json


def usage(data: Json) -> Usage | None:
    """Counts under whatever name the vendor has for them; None where there are none at all."""
    if not isinstance(data, dict) or not data:
        return None
    into, out = table(data, "prompt_tokens_details"), table(data, "completion_tokens_details")
    written = table(data, "cache_creation")
    output = first(data.get("completion_tokens"), data.get("output_tokens"))
    taken = first(data.get("prompt_tokens"), data.get("input_tokens"))
    reasoning = first(out.get("reasoning_tokens"), data.get("reasoning_tokens"))
    return Usage(
        input=taken,
        output=None if output is None else output + _apart(data, taken, output, reasoning),
        cached=first(
            into.get("cached_tokens"),
            data.get("cached_tokens"),
            data.get("prompt_cache_hit_tokens"),
            data.get("cache_read_input_tokens"),
            data.get("num_cached_tokens"),
        ),
        cache_write=first(into.get("cache_write_tokens"), data.get("cache_creation_input_tokens")),
        cache_write_1h=first(written.get("ephemeral_1h_input_tokens")),
        reasoning=reasoning,
        input_audio=first(into.get("audio_tokens")) or None,
        input_image=first(into.get("image_tokens")) or None,
        output_audio=first(out.get("audio_tokens")) or None,
        output_image=first(out.get("image_tokens")) or None,
        usd=dollars(data),
    )


def _apart(data: dict[str, Any], taken: int | None, output: int, reasoning: int | None) -> int:
    """Generated tokens that `completion_tokens` leaves out: some vendors count reasoning (and citations) beside it.

    The total tells: it is then larger than the two by exactly these.
    """
    total = first(data.get("total_tokens"))
    if total is None or taken is None:
        return 0
    rest, thought, citations = total - taken - output, reasoning or 0, first(data.get("citation_tokens")) or 0
    return rest if rest > 0 and rest in (thought, citations, thought + citations) else 0
