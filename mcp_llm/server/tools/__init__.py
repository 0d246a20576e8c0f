"""The published tools by pack. A new one is one file and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .compare_models import COMPARE_MODELS
from .embed import EMBED
from .generate import GENERATE
from .generate_image import GENERATE_IMAGE
from .generate_video import GENERATE_VIDEO
from .list_models import LIST_MODELS
from .run_agent import RUN_AGENT
from .run_workflow import RUN_WORKFLOW
from .runs import RUNS
from .speak import SPEAK
from .transcribe import TRANSCRIBE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .published import Published

PACKS: Final[dict[str, tuple[Published, ...]]] = {
    "core": (GENERATE, COMPARE_MODELS, RUN_AGENT, RUNS, LIST_MODELS),
    "workflow": (RUN_WORKFLOW,),
    "media": (EMBED, GENERATE_IMAGE, TRANSCRIBE, SPEAK, GENERATE_VIDEO),
}


def tools(packs: Sequence[str]) -> list[Published]:
    """The tools of these packs, in a fixed order; core is always there."""
    return [tool for pack, members in PACKS.items() if pack == "core" or pack in packs for tool in members]
