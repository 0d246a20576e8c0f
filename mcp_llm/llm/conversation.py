"""Conversations and parts as callers write them in JSON -> our values, with errors that name the place."""

from __future__ import annotations

import binascii
import json
from typing import TYPE_CHECKING, Any

from mcp_llm.errors import InvalidInput
from mcp_llm.files.load import from_url
from mcp_llm.types.message import Media, Message, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.types.message import Part


def messages(turns: Sequence[dict[str, Any]]) -> list[Message]:
    """`[{role, content, tool_calls?, tool_call_id?}]`, content as text or parts; `system` turns become the user's."""
    found: list[Message] = []
    for index, turn in enumerate(turns):
        place = f"messages[{index}]"
        if not isinstance(turn, dict):
            raise InvalidInput(f"{place} is a {type(turn).__name__}; it has to be an object with `role` and `content`")
        role, content, asked = turn.get("role"), turn.get("content"), turn.get("tool_calls") or []
        if role not in ("user", "assistant", "tool", "system", "developer"):  # a tuple: it may be of any type
            raise InvalidInput(f"{place}.role is {role!r}; it has to be user, assistant or tool")
        if role == "tool":
            name = str(turn.get("name") or _called(found, turn.get("tool_call_id")))
            result = ToolResult(str(turn.get("tool_call_id") or ""), name, _texts(content, place))
            if found and found[-1].role == "user" and all(isinstance(part, ToolResult) for part in found[-1].parts):
                found[-1] = Message(role="user", parts=(*found[-1].parts, result))
            else:
                found.append(Message(role="user", parts=(result,)))
            continue
        if not isinstance(asked, list):
            raise InvalidInput(f"{place}.tool_calls is a {type(asked).__name__}; it has to be a list")
        if content is None and not asked:
            raise InvalidInput(f"{place} has no `content`: say what was said as text or a list of parts")
        if content is not None and not isinstance(content, str | list):
            raise InvalidInput(f"{place} has to be text or a list of parts in its `content`")
        said = parts(content, place) if not isinstance(content, str) else [Text(content)]
        calls = [_call(call, f"{place}.tool_calls[{number}]") for number, call in enumerate(asked)]
        said = [part for part in said if not (isinstance(part, Text) and not part.text)]
        found.append(Message(role="assistant" if role == "assistant" else "user", parts=(*said, *calls)))
    return found


def parts(values: Any, place: str = "prompt") -> list[Part]:
    """`[{type: text, text}, {type: image|file, data+mime | url}]`, also OpenAI's `image_url` and MCP's `mimeType`."""
    if values is None:
        return []
    if not isinstance(values, list):
        raise InvalidInput(f"{place} has to be text or a list of parts")
    return [_part(value, f"{place}[{index}]") for index, value in enumerate(values)]


def _part(value: Any, place: str) -> Part:
    if isinstance(value, str):
        return Text(value)
    if not isinstance(value, dict):
        raise InvalidInput(f"{place} has to be text or an object with `type`")
    kind = value.get("type", "text" if "text" in value else None)
    if kind in ("text", "input_text", "output_text"):
        if not isinstance(text := value.get("text"), str):
            raise InvalidInput(f'{place} is a part of text without `text`: write {{"type": "text", "text": "..."}}')
        return Text(text)
    if kind in ("image_url", "input_image"):
        given = value.get("image_url")
        return _media({"url": given.get("url") if isinstance(given, dict) else given}, place)
    if kind in ("image", "audio", "file", "media", "document"):
        return _media(value, place)
    raise InvalidInput(f"{place}.type is {kind!r}; it has to be text, image, audio or file")


def _media(value: dict[str, Any], place: str) -> Media:
    url, data = value.get("url"), value.get("data")
    mime = value.get("mime") or value.get("mimeType") or value.get("mime_type") or value.get("media_type")
    if isinstance(url, str) and url.startswith("data:"):
        head, _, data = url.partition(",")
        mime, url = head[5:].partition(";")[0], None
    name = value.get("name") if isinstance(value.get("name"), str) else None
    if isinstance(data, str) and isinstance(mime, str):
        try:
            binascii.a2b_base64(data, strict_mode=True)
        except ValueError:
            raise InvalidInput(f"{place}.data is no base64") from None
        return Media(mime, data=data, name=name)
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        return from_url(url, name, mime if isinstance(mime, str) else None)
    raise InvalidInput(f"{place} needs base64 `data` with its `mime`, or an http(s) `url`")


def _texts(content: Any, place: str) -> tuple[Text | Media, ...]:
    if isinstance(content, str):
        return (Text(content),)
    return tuple(part for part in parts(content, place) if isinstance(part, Text | Media))


def _call(value: Any, place: str) -> ToolCall:
    inner = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(inner, dict) or not inner.get("name"):
        raise InvalidInput(f"{place} needs `id`, `name` and `arguments`")
    arguments = inner.get("arguments", {})
    try:
        raw = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        raise InvalidInput(f"{place}.arguments cannot be written as JSON") from None
    return ToolCall(str(value.get("id") or ""), str(inner["name"]), raw)


def _called(found: Sequence[Message], call_id: Any) -> str:
    names = {call.id: call.name for message in found for call in message.tool_calls}
    return names.get(str(call_id), "tool")
