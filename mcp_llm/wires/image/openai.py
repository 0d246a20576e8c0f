"""OpenAI's `/images/generations` and `/images/edits`, and those who imitate them (xAI, Together, local servers)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final, Literal

from mcp_llm.errors import Garbled, InvalidInput, Unsupported
from mcp_llm.types.image import Picture, Pictures
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.counts import dollars, first, table
from mcp_llm.wires.whole import body, events, fields, is_stream, link, raw, untaken

from . import sizes

if TYPE_CHECKING:
    from mcp_llm.types.image import ImageRequest
    from mcp_llm.types.message import Json, Media

SPELLINGS: Final[dict[str, str]] = {
    "output_format": "format",
    "partial_images": "partial",
    "stream": "partial",
    "quality": "quality",
    "background": "background",
}
SQUARES: Final = ("1024x1024", "1536x1024", "1024x1536")


class Quirks(base.Quirks):
    """What imitations of the dialect disagree on."""

    path: str = "/images/generations"
    edit_path: str | None = "/images/edits"
    """None: pictures cannot be changed here."""
    edits: Literal["form", "urls", "typed_urls"] = "form"
    """Pictures to change as files of a form, or in JSON as (data) URLs: `{image_url}`, or `{type, url}` (xAI)."""
    max_n: int = 10
    """Pictures of one request; more are several requests."""
    takes: tuple[Literal["quality", "background", "format", "partial"], ...] = (
        "quality",
        "background",
        "format",
        "partial",
    )
    """Fields that are sent; the others are told of."""
    size: Literal["pixels", "ratio", "sides"] = "pixels"
    """`size`, or `aspect_ratio` and `resolution` (xAI), or `width` and `height` (Together)."""
    ratios: tuple[str, ...] = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16")
    response_format: str | None = None
    """Asks for the bytes where they are not sent by themselves: `b64_json`, `base64`."""


def encode(request: ImageRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """JSON; a form where files go along."""
    warnings: list[str] = []
    data: dict[str, Any] = {"model": model, "prompt": request.prompt}
    if request.n != 1:
        data["n"] = request.n
    if request.size is not None:
        data |= _size(request.size, quirks, warnings)
    words = {"quality": "quality", "background": "background", "format": "output_format", "partial": "partial_images"}
    warnings += untaken(request, words.keys() - set(quirks.takes), model)
    for name in quirks.takes:
        if (value := getattr(request, name)) is not None:
            data[words[name]] = value
    if "partial_images" in data:
        data["stream"] = True
    if quirks.response_format is not None:
        data["response_format"] = quirks.response_format
    stream = bool(data.get("stream"))
    if not request.images:
        if request.mask is not None:
            raise Unsupported("`mask` says where a picture is changed: give the picture in `images`, too")
        data = merge(data, request.options)
        return base.HttpRequest(method="POST", path=quirks.path, json=data, stream=stream, warnings=warnings)
    if quirks.edit_path is None:
        raise Unsupported(f"{model} makes pictures and does not change them: leave `images` out, or ask another model")
    if quirks.edits == "form":
        form = _form(merge(data, request.options), request)
        return base.HttpRequest(method="POST", path=quirks.edit_path, form=form, stream=stream, warnings=warnings)
    word, kind = ("image_url", {}) if quirks.edits == "urls" else ("url", {"type": "image_url"})
    data["images"] = [{**kind, word: link(one)} for one in request.images]
    if request.mask is not None:
        data["mask"] = {**kind, word: link(request.mask)}
    data = merge(data, request.options)
    return base.HttpRequest(method="POST", path=quirks.edit_path, json=data, stream=stream, warnings=warnings)


def _size(size: str, quirks: Quirks, warnings: list[str]) -> dict[str, Any]:
    if quirks.size == "ratio":
        shape, resolution = sizes.ratio(size, quirks.ratios, warnings)
        found = {"aspect_ratio": shape, "resolution": resolution and resolution.lower()}
        return {name: value for name, value in found.items() if value is not None}
    told = sizes.pixels(size, SQUARES, warnings)
    if told is None or (quirks.size == "sides" and told == "auto"):
        return {}
    if quirks.size == "sides":
        wide, high = told.split("x")
        return {"width": int(wide), "height": int(high)}
    return {"size": told}


def _form(data: dict[str, Any], request: ImageRequest) -> list[base.Field]:
    form = [one for name, value in data.items() for one in fields(name, value)]
    name = "image[]" if len(request.images) > 1 else "image"
    form += [_file(name, one, number) for number, one in enumerate(request.images)]
    return form if request.mask is None else [*form, _file("mask", request.mask, 0)]


def _file(name: str, media: Media, number: int) -> base.Field:
    if media.data is None:
        raise Unsupported("pictures to change have to be sent as files here: attach the file instead of its URL")
    try:
        data = base64.b64decode(media.data)
    except ValueError:
        raise InvalidInput("The data of a picture to change is not base64; encode its bytes.") from None
    ending = media.mime.partition("/")[2].partition("+")[0]
    return base.Field(name, data, f"{name.rstrip('[]')}-{number}.{ending}", media.mime)


def piece(event: Json) -> bytes | None:
    """The unfinished picture of an event in a stream."""
    if isinstance(event, dict) and str(event.get("type", "")).endswith(".partial_image"):
        return raw(event["b64_json"])
    return None


def decode(reply: base.HttpReply, request: ImageRequest, quirks: Quirks) -> Pictures:
    """Bytes where they were sent, else the URL; of a stream the finished picture."""
    if is_stream(reply):
        done = [event for event in events(reply) if str(event.get("type", "")).endswith(".completed")]
        if not done:
            raise Garbled("the stream ended before a picture was finished")
        return Pictures([_picture(event) for event in done], _usage(done[-1].get("usage") or {}))
    data = body(reply)
    pictures = [_picture(item) for item in data["data"]]
    if not pictures:
        raise Garbled("the reply holds no picture")
    return Pictures(pictures, _usage(data.get("usage") or {}), data.get("model"), data.get("id"))


def _picture(item: dict[str, Any]) -> Picture:
    packed, url = item.get("b64_json") or item.get("base64"), item.get("url")
    if packed is None and not isinstance(url, str):
        raise TypeError("neither bytes nor a URL")
    data = None if packed is None else raw(packed.rpartition(",")[2])
    return Picture(data, url, item.get("revised_prompt") or None)


def _usage(told: dict[str, Any]) -> Usage:
    into, out = table(told, "input_tokens_details"), table(told, "output_tokens_details")
    return Usage(
        input=first(told.get("input_tokens")),
        output=first(told.get("output_tokens")),
        input_image=first(into.get("image_tokens")),
        output_image=first(out.get("image_tokens")),
        usd=dollars(told),
    )
