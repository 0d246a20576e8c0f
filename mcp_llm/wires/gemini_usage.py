"""What Google says it counted, of any operation: tokens by what they stand for, thoughts beside the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from mcp_llm.types.message import Json


def usage(data: Json) -> Usage:
    """The `usageMetadata` of a whole reply."""
    told: dict[str, Any] = data.get("usageMetadata") or {}
    written, thought = told.get("candidatesTokenCount"), told.get("thoughtsTokenCount")
    asked, made = told.get("promptTokensDetails"), told.get("candidatesTokensDetails")
    return Usage(
        input=told.get("promptTokenCount"),
        output=None if written is None and thought is None else (written or 0) + (thought or 0),
        cached=told.get("cachedContentTokenCount"),
        reasoning=thought,
        input_audio=_of("AUDIO", asked),
        input_image=_of("IMAGE", asked),
        output_audio=_of("AUDIO", made),
        output_image=_of("IMAGE", made),
        output_video=_of("VIDEO", made),
    )


def _of(modality: str, details: Json) -> int | None:
    return sum(one.get("tokenCount") or 0 for one in details or () if one.get("modality") == modality) or None
