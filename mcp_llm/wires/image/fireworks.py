"""Fireworks' `/workflows/{model}/text_to_image`: a prompt in, the bytes of one picture out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mcp_llm.errors import Refused, Unsupported
from mcp_llm.types.image import MIMES, Picture, Pictures
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.whole import body, raw, untaken

from . import sizes

if TYPE_CHECKING:
    from mcp_llm.types.image import ImageRequest

SPELLINGS: Final[dict[str, str]] = {}
RATIOS: Final = ("1:1", "21:9", "16:9", "3:2", "5:4", "4:5", "2:3", "9:16", "9:21", "4:3", "3:4")


class Quirks(base.Quirks):
    """One picture a request."""

    max_n: int = 1


def encode(request: ImageRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """The format is asked for in the `accept` header: PNG or JPEG."""
    if request.images or request.mask is not None:
        raise Unsupported(f"{model} makes pictures and does not change them: leave `images` out, or ask another model")
    warnings: list[str] = []
    data: dict[str, Any] = {"prompt": request.prompt}
    if request.size is not None and (shape := sizes.ratio(request.size, RATIOS, warnings)[0]) is not None:
        data["aspect_ratio"] = shape
    warnings += untaken(request, ("quality", "background", "partial"), model)
    wanted = request.format or "png"
    if wanted not in {"png", "jpeg"}:
        raise Unsupported(f"{model} makes png and jpeg, not {wanted}")
    return base.HttpRequest(
        method="POST",
        path=f"/workflows/{quote(model, safe='/')}/text_to_image",
        json=merge(data, request.options),
        headers={"accept": MIMES[wanted]},
        warnings=warnings,
    )


def decode(reply: base.HttpReply, request: ImageRequest, quirks: Quirks) -> Pictures:
    """The bytes as they are; a JSON reply has them packed."""
    if reply.headers.get("finish-reason") == "CONTENT_FILTERED":
        raise Refused("a content filter stopped the picture")
    if not reply.headers.get("content-type", "").startswith("application/json"):
        return Pictures([Picture(reply.body)], Usage(images=1))
    data = body(reply)
    if data.get("finishReason") == "CONTENT_FILTERED":
        raise Refused("a content filter stopped the picture")
    return Pictures([Picture(raw(one.rpartition(",")[2])) for one in data["base64"]], Usage(images=len(data["base64"])))
