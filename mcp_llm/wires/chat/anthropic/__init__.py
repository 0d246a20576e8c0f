"""Anthropic's Messages dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .decoder import Decoder
from .quirks import Quirks
from .request import encode, request_body, stamp

if TYPE_CHECKING:
    from mcp_llm.wires.base import Framing

__all__ = ["Decoder", "Quirks", "encode", "framing", "request_body", "stamp"]

framing: Framing = "sse"
