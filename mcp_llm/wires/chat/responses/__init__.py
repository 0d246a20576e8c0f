"""OpenAI's Responses dialect, also spoken by xAI, Azure, Meta and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .decoder import Decoder
from .quirks import Quirks
from .request import encode

if TYPE_CHECKING:
    from mcp_llm.wires.base import Framing

__all__ = ["Decoder", "Quirks", "encode", "framing"]

framing: Framing = "sse"
