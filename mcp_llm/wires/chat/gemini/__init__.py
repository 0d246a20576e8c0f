"""Google's generateContent dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .decoder import Decoder
from .quirks import Place, Quirks
from .request import encode, request_body, request_path

if TYPE_CHECKING:
    from mcp_llm.wires.base import Framing

__all__ = ["Decoder", "Place", "Quirks", "encode", "framing", "request_body", "request_path"]

framing: Framing = "sse"
