"""What may be on a vendor's bill: of calls that failed, and of options that would put more there than is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Error, InvalidInput

from . import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_llm.catalog.find import Target

_BILLED: Final = frozenset({"timeout", "cancelled", "disconnected", "garbled", "too_large"})
"""Kinds of failures after which the vendor may have done the work."""


def possible(error: BaseException) -> bool:
    """Whether a request that was sent and gave no answer may be on the vendor's bill all the same."""
    kind = error.kind if isinstance(error, Error) else "cancelled"
    return kind in _BILLED and getattr(error, "code", "") != "connect"


def countable(options: Mapping[str, Any], target: Target) -> None:
    """Refuse, under a budget, options that change what the call can cost."""
    if loose := parameters.uncounted(options, target.facts.extra or {}):
        raise InvalidInput(
            f"under a budget `options` may not set {', '.join(loose)}: what the call can cost would not be known. "
            "Use the arguments (`max_tokens`, `tools`, ...) where there are some, or leave it out."
        )
