"""What a vendor tells beside the words, piece by piece over a stream: sources, log probabilities of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_llm.types.message import Json


def joined(old: Json, new: Json, *, append: bool = True) -> Json:
    """Objects join; lists grow where they `append`, and else the later stands, as for anything else. In place."""
    if new is None:
        return old
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in new.items():
            old[key] = joined(old.get(key), value, append=append)
        return old
    if append and isinstance(old, list) and isinstance(new, list):
        old += new
        return old
    return new
