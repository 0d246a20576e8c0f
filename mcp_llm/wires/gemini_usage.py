"""What Google says it counted, of any operation: tokens by what they stand for, thoughts beside the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.types.usage import Usage

from .counts import first, total

if TYPE_CHECKING:
    from mcp_llm.types.message import Json


def usage(told: Json) -> Usage | None:
    """The counts of a `usageMetadata`; None where there are none. Live calls what was written `response...`."""
    if not isinstance(told, dict):
        return None
    asked, thought = first(told.get("promptTokenCount")), first(told.get("thoughtsTokenCount"))
    written = first(told.get("candidatesTokenCount"), told.get("responseTokenCount"))
    if asked is None and written is None and thought is None:
        return None
    into = told.get("promptTokensDetails")
    out = told.get("candidatesTokensDetails") or told.get("responseTokensDetails")
    return Usage(
        # What its own tools found is read as well, and counted beside the prompt.
        input=None if asked is None else asked + (first(told.get("toolUsePromptTokenCount")) or 0),
        output=total(written, thought),
        cached=first(told.get("cachedContentTokenCount")),
        reasoning=thought,
        input_audio=_of("AUDIO", into),
        input_image=_of("IMAGE", into),
        output_audio=_of("AUDIO", out),
        output_image=_of("IMAGE", out),
        output_video=_of("VIDEO", out),
    )


def _of(modality: str, details: Json) -> int | None:
    rows = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return sum(first(one.get("tokenCount")) or 0 for one in rows if one.get("modality") == modality) or None
