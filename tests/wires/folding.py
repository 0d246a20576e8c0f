"""A reply fed to a wire in pieces of any size, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_llm.types.chat import Fold
from mcp_llm.wires.reply import Reply

if TYPE_CHECKING:
    from mcp_llm.types.chat import ChatResponse
    from mcp_llm.types.message import Origin


def folded(
    wire: Any, body: bytes, size: int | None = None, *, quirks: Any = None, origin: Origin | None = None
) -> ChatResponse:
    """What `wire` makes of `body`, fed `size` bytes at a time, or whole."""
    fold, reply = Fold(), Reply(wire, quirks or wire.Quirks())
    step = size or len(body)
    for at in range(0, len(body), step):
        for chunk in reply.feed(body[at : at + step]):
            fold.add(chunk)
    for chunk in reply.close():
        fold.add(chunk)
    return fold.response(origin)
