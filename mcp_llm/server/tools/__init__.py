"""The published tools by pack. A new one is one file and one word here; a pack that is off is not loaded."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .published import Published

PACKS: Final[dict[str, tuple[str, ...]]] = {
    "core": ("generate", "compare_models", "run_agent", "runs", "list_models"),
    "ops": ("health", "usage"),
    "workflow": ("run_workflow",),
    "media": ("embed", "generate_image", "transcribe", "speak", "generate_video"),
}
"""Pack -> its tools; the module of that name has it in capitals."""


def pack_of(name: str) -> str | None:
    """The pack of a tool that there is somewhere."""
    return next((pack for pack, members in PACKS.items() if name in members), None)


def tools(packs: Sequence[str]) -> list[Published]:
    """The tools of these packs, in a fixed order; core is always there."""
    names = [name for pack, members in PACKS.items() if pack == "core" or pack in packs for name in members]
    return [cast("Published", getattr(import_module(f"{__name__}.{name}"), name.upper())) for name in names]
