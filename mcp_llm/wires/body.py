"""Laying a caller's own `options` over a request body: the last word, whatever the wire has put there before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def merge(body: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """A new body: objects are joined key by key, everything else (lists, scalars, null) is replaced."""
    merged = dict(body)
    for key, value in options.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
