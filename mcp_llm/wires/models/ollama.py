"""Ollama's installed models (`/api/tags`), and what one of them can do (`/api/show`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_llm.wires import base

from . import rows

if TYPE_CHECKING:
    from mcp_llm.types.message import Json


class Quirks(base.Quirks):
    """Nothing is disagreed on."""


def encode(cursor: str | None, quirks: Quirks) -> base.HttpRequest:
    """The one page there is."""
    return base.HttpRequest(method="GET", path="/api/tags")


def decode(body: Json) -> tuple[list[base.ModelInfo], str | None]:
    """The installed models by the name they are asked under; the list says nothing of what they can do."""
    return rows.read(body.get("models") or [], _model), None


def _model(item: dict[str, Any]) -> base.ModelInfo:
    return base.ModelInfo(id=item.get("model") or item["name"])


def show(model: str) -> base.HttpRequest:
    """Asks for the details of one model."""
    return base.HttpRequest(method="POST", path="/api/show", json={"model": model})


def decode_show(body: Json, model: str = "") -> base.ModelInfo:
    """Context window and abilities; the body does not repeat which model it is about, so `model` becomes the id.

    Servers from before `capabilities` leave `can` and `reads` unknown.
    """
    facts = body.get("model_info") or {}
    length = rows.count(facts.get(f"{facts.get('general.architecture')}.context_length"))
    abilities = body.get("capabilities")
    if abilities is None:
        return base.ModelInfo(id=model, context=length)
    can: tuple[str, ...] = ()
    if "completion" in abilities:
        can = ("streaming", "json")
        can += ("tools",) if "tools" in abilities else ()
        can += ("reasoning",) if "thinking" in abilities else ()
    reads = ("image",) if "vision" in abilities else ()
    return base.ModelInfo(id=model, context=length, can=can, reads=reads)
