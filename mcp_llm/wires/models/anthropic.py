"""Anthropic's model list: the one vendor list that says what each model can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.wires import base

from . import rows

if TYPE_CHECKING:
    from mcp_llm.types.message import Json

_CAN: Final = {"structured_outputs": "json", "thinking": "reasoning", "batch": "batch"}
_READS: Final = {"image_input": "image", "pdf_input": "pdf"}


class Quirks(base.Quirks):
    """Where the list is."""

    path: str = "/v1/models"
    """Path under the base URL."""
    version: str | None = "2026-10-21"
    """The `anthropic-version` header; None sends none (compatible servers)."""
    page_size: int = 1000
    """Models a page, at most 1000."""


def encode(cursor: str | None, quirks: Quirks) -> base.HttpRequest:
    """One page; `cursor` is the `last_id` of the page before."""
    query = {"limit": str(quirks.page_size)}
    if cursor:
        query["after_id"] = cursor
    headers = {"anthropic-version": quirks.version} if quirks.version else {}
    return base.HttpRequest(method="GET", path=quirks.path, query=query, headers=headers)


def decode(body: Json) -> tuple[list[base.ModelInfo], str | None]:
    """The models of a page that can still be asked; `retires` is an RFC 3339 time. Older servers name no abilities."""
    asked = [item for item in body["data"] if not (isinstance(item, dict) and item.get("lifecycle") == "retired")]
    return rows.read(asked, _model), (body.get("last_id") or None) if body.get("has_more") else None


def _model(item: dict[str, Any]) -> base.ModelInfo:
    abilities = item.get("capabilities")
    can: tuple[str, ...] | None = None
    reads: tuple[str, ...] | None = None
    if abilities:
        # Streams and tools are not listed: every model has them.
        can = ("streaming", "tools", *(word for name, word in _CAN.items() if _has(abilities, name)))
        if _has(abilities.get("server_tools") or {}, "web_search"):
            can += ("search",)
        reads = tuple(word for name, word in _READS.items() if _has(abilities, name))
    return base.ModelInfo(
        id=item["id"],
        name=item.get("display_name"),
        context=item.get("max_input_tokens"),
        output=item.get("max_tokens"),
        can=can,
        reads=reads,
        retires=item.get("retires_at"),
    )


def _has(abilities: dict[str, Any], name: str) -> bool:
    return bool((abilities.get(name) or {}).get("supported"))
