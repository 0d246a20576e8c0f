"""Google's model list: the Gemini API's `models`, and Vertex' `publisherModels` under another path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_llm.wires import base

from . import rows

if TYPE_CHECKING:
    from mcp_llm.types.message import Json


class Quirks(base.Quirks):
    """Where the list is."""

    path: str = "/v1beta/models"
    """Path under the base URL. Vertex: `/v1beta1/publishers/google/models` under the bare host."""
    page_size: int = 1000
    """Models a page; the service caps it by itself."""


def encode(cursor: str | None, quirks: Quirks) -> base.HttpRequest:
    """One page; `cursor` is the `nextPageToken` of the page before."""
    query = {"pageSize": str(quirks.page_size)}
    if cursor:
        query["pageToken"] = cursor
    return base.HttpRequest(method="GET", path=quirks.path, query=query)


def decode(body: Json) -> tuple[list[base.ModelInfo], str | None]:
    """The models of a page; ids without `models/`. What a model can do is known only where it cannot generate."""
    listed = body.get("models") or body.get("publisherModels") or []
    return rows.read(listed, _model), body.get("nextPageToken") or None


def _model(item: dict[str, Any]) -> base.ModelInfo:
    methods = item.get("supportedGenerationMethods")
    chats = methods is None or "generateContent" in methods
    return base.ModelInfo(
        id=item["name"].rpartition("models/")[2],
        name=item.get("displayName"),
        context=item.get("inputTokenLimit"),
        output=item.get("outputTokenLimit"),
        can=None if chats else (),
    )
