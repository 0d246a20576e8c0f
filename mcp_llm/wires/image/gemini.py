"""Google's models that paint: `generateContent` which is asked for pictures, and answers with words and inline data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Garbled, Refused, Unsupported
from mcp_llm.types.image import MIMES, Picture, Pictures
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.chat.gemini import Place, request_path
from mcp_llm.wires.gemini_usage import usage
from mcp_llm.wires.whole import body, raw, untaken

from . import sizes

if TYPE_CHECKING:
    from mcp_llm.types.image import ImageRequest
    from mcp_llm.types.message import Media

SPELLINGS: Final[dict[str, str]] = {"outputMimeType": "format", "output_mime_type": "format"}
RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "9:16", "16:9", "21:9")


class Quirks(Place):
    """One picture a request."""

    max_n: int = 1
    formats: bool = False
    """Takes `outputMimeType` (Vertex only)."""


def encode(request: ImageRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """The pictures to change go before the words."""
    warnings: list[str] = []
    if request.mask is not None:
        raise Unsupported(f"{model} takes no `mask`: say in the prompt what shall be changed")
    picture: dict[str, Any] = {}
    if request.size is not None:
        shape, size = sizes.ratio(request.size, RATIOS, warnings)
        picture |= {} if shape is None else {"aspectRatio": shape}
        picture |= {} if size is None else {"imageSize": size}
    if request.format is not None and quirks.formats:
        picture["outputMimeType"] = MIMES[request.format]
    missing = ("quality", "background", "partial", *(() if quirks.formats else ("format",)))
    warnings += untaken(request, missing, model)
    config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    if picture:
        config["imageConfig"] = picture
    parts = [*map(_part, request.images), {"text": request.prompt}]
    data = {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}
    path = request_path(model, "generateContent", quirks)
    return base.HttpRequest(method="POST", path=path, json=merge(data, request.options), warnings=warnings)


def _part(media: Media) -> dict[str, Any]:
    if media.data is None:
        return {"fileData": {"fileUri": media.url, "mimeType": media.mime}}
    return {"inlineData": {"mimeType": media.mime, "data": media.data}}


def decode(reply: base.HttpReply, request: ImageRequest, quirks: Quirks) -> Pictures:
    """The pictures that are no thoughts. Raises Refused where a filter or the model itself gave none."""
    data = body(reply)
    candidates = data.get("candidates") or []
    parts = [part for one in candidates for part in (one.get("content") or {}).get("parts") or []]
    shown = [part for part in parts if not part.get("thought")]
    pictures = [Picture(raw(part["inlineData"]["data"])) for part in shown if "inlineData" in part]
    text = "".join(part.get("text") or "" for part in shown)
    if not pictures:
        why = [one.get("finishMessage") or one.get("finishReason") for one in candidates]
        blocked = (data.get("promptFeedback") or {}).get("blockReason")
        words = ", ".join(str(word) for word in [blocked, *why] if word and word != "STOP")
        if words or text:
            raise Refused(f"no picture was made: {': '.join(said for said in (words, text[:500]) if said)}")
        raise Garbled("the reply holds no picture")
    counted = usage(data.get("usageMetadata")) or Usage()
    return Pictures(pictures, counted, data.get("modelVersion"), data.get("responseId"), text)
