"""A result in the two forms hosts show: the same full answer as text with its receipt and as structured content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp.types import CallToolResult, ResourceLink, TextContent

if TYPE_CHECKING:
    from mcp_llm.types.result import Generated

SHOWN: Final = 60_000
"""Characters of an answer in one reply, about 15,000 tokens: the strictest host seen cuts at 25,000."""
THINKING_SHOWN: Final = 2000
"""Characters of reasoning in structured content: the run keeps all of it, the host's context should not."""


def generated(result: Generated) -> CallToolResult:
    """An answer: the words first, what it wants called, then the receipt and what was noticed on the way."""
    data = result.model_dump(mode="json", exclude_none=True)
    data["cost"].setdefault("usd", None)
    if not result.fallbacks:
        data.pop("fallbacks")
    if not result.warnings:
        data.pop("warnings")
    if result.thinking and len(result.thinking) > THINKING_SHOWN:
        data["thinking"] = result.thinking[:THINKING_SHOWN] + f"... ({len(result.thinking):,} characters in the run)"
    blocks = [result.response] if result.response else []
    links: list[ResourceLink] = []
    if len(result.response) > SHOWN:
        uri = f"runs://{result.run_id}?offset={SHOWN}"
        more = f"[the first {SHOWN:,} of {len(result.response):,} characters; the rest: read resource {uri}]"
        data["response"] = f"{result.response[:SHOWN]}\n\n{more}"
        data.pop("parsed", None)
        blocks = [data["response"]]
        links.append(ResourceLink(type="resource_link", uri=uri, name=result.run_id, mime_type="text/plain"))
    blocks += [
        f"wants {call.name}({json.dumps(call.arguments, ensure_ascii=False)}) [id {call.id}]"
        for call in result.tool_calls or ()
    ]
    blocks.append(f"[{result.receipt}]")
    blocks += [f"[fell back: {one.provider}:{one.model} {one.error}: {one.message[:200]}]" for one in result.fallbacks]
    blocks += [f"[note: {words}]" for words in result.warnings]
    return CallToolResult(content=[TextContent(type="text", text="\n\n".join(blocks)), *links], structured_content=data)


def rest(stored: dict[str, Any], offset: int) -> str:
    """A stored run's answer (or error) from a character on, as much as fits one reply, and where to go on."""
    text = stored.get("response") or stored.get("partial") or stored.get("error") or ""
    piece = text[offset : offset + SHOWN]
    end = offset + len(piece)
    return piece if end >= len(text) else f"{piece}\n\n[{len(text) - end:,} more characters: ?offset={end}]"


def plain(text: str, data: dict[str, Any]) -> CallToolResult:
    """Anything else: a text a person can read and the same as data."""
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=data)
