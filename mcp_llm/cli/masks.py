"""Secrets as they may be shown: enough to tell one key from another, never enough to use it."""

from __future__ import annotations

import re
from typing import Any, Final

from mcp_llm.llm.access import mask

_SECRET: Final = re.compile(
    r"(?i)(^|[_.-])(key|token|secret|password|authorization|cookie|credential)s?$|^(api|x-).*key$"
)
_NOT_SECRET: Final = frozenset({"max_tokens", "day_tokens", "tokens"})
_LOGIN: Final = re.compile(r"(?<=://)[^/@\s]+@")


def masked(value: Any, name: str = "", *, inside_headers: bool = False) -> Any:
    """Settings with everything hidden that a name, or being a header, says is secret."""
    if isinstance(value, dict):
        headers = inside_headers or name == "headers"
        return {key: masked(item, key, inside_headers=headers) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, inside_headers=inside_headers) for item in value]
    if not isinstance(value, str):
        return value
    if "{key}" in value:  # a template that names the place of the key
        return value
    if inside_headers or (_SECRET.search(name) and name not in _NOT_SECRET):
        return mask(value)
    return _LOGIN.sub("…@", value)
