"""How large a picture shall be, in the words of each vendor: pixels, an aspect ratio, a class of sizes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIXELS: Final = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})", re.ASCII)
_RATIO: Final = re.compile(r"([1-9]\d{0,2}):([1-9]\d{0,2})", re.ASCII)
_CLASS: Final = re.compile(r"(?:512|1K|2K|4K)", re.I)


def pixels(size: str, squares: Sequence[str] | None, warnings: list[str]) -> str | None:
    """`WxH` or `auto`; of a ratio the nearest of `squares`. None, with a warning, where it cannot be said."""
    if _PIXELS.fullmatch(size) or size == "auto":
        return size
    if squares and (found := _RATIO.fullmatch(size)):
        wanted = int(found[1]) / int(found[2])
        best = min(squares, key=lambda one: abs(_shape(one) / wanted - 1))
        warnings.append(f"`size` {size!r} was sent as {best!r}, the nearest that is offered")
        return best
    _unknown(size, warnings)
    return None


def ratio(size: str, ratios: Sequence[str], warnings: list[str]) -> tuple[str | None, str | None]:
    """(aspect ratio, class of sizes) as far as the size says them; pixels mean their nearest ratio."""
    if _CLASS.fullmatch(size):
        return None, size.upper()
    if size == "auto":
        return None, None
    if _RATIO.fullmatch(size):
        return size, None
    if _PIXELS.fullmatch(size):
        best = min(ratios, key=lambda one: abs(_shape(one) / _shape(size) - 1))
        long = max(int(side) for side in size.split("x"))
        warnings.append(f"`size` {size!r} was sent as the aspect ratio {best!r}: this model takes no pixels")
        return best, None if long <= 1024 else "2K" if long <= 2048 else "4K"
    _unknown(size, warnings)
    return None, None


def _shape(size: str) -> float:
    wide, high = re.split("[x:]", size)
    return int(wide) / int(high)


def _unknown(size: str, warnings: list[str]) -> None:
    if not (_PIXELS.fullmatch(size) or _RATIO.fullmatch(size) or _CLASS.fullmatch(size) or size == "auto"):
        raise Unsupported(f"`size` {size[:40]!r} is none: write 1024x1024, 16:9, 2K or auto")
    warnings.append(f"`size` {size!r} was not sent: this model has no word for it")
