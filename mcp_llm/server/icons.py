"""The server's icon: one small drawing, as it goes along with every result of the 2026-07-28 era."""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from mcp.types import Icon

_DRAWING: Final = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16' fill='none' stroke='#7c5cff' stroke-width='2'>"
    "<path d='M2 8h4l6-5M6 8l6 5M6 8h7'/></svg>"
)
"""One way in, three ways out."""

ICONS: Final = (
    Icon(
        src=f"data:image/svg+xml;base64,{b64encode(_DRAWING.encode()).decode()}",
        mime_type="image/svg+xml",
        sizes=["any"],
    ),
)
