"""OpenAI's Responses dialect: the request. The reply is read in `decoder.py`.

Stateless: nothing is stored at the vendor, so every output item goes back whole, as `echo` kept it. Audio and video do
not exist on it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Unsupported
from mcp_llm.types.message import Media, Opaque, Text, ToolCall, ToolResult
from mcp_llm.types.remembered import remembered
from mcp_llm.wires import base
from mcp_llm.wires.arguments import as_text
from mcp_llm.wires.body import merge
from mcp_llm.wires.schema import inline_refs, instruction, to_strict

if TYPE_CHECKING:
    from mcp_llm.types.chat import ChatRequest, ToolSpec
    from mcp_llm.types.message import Echo, Message, Part

    from .quirks import Extra, Quirks

_SAMPLING: Final = ("temperature", "top_p")
_EXTRA: Final[tuple[Extra, ...]] = ("top_k", "seed", "presence_penalty", "frequency_penalty", "stop")
_ENCRYPTED: Final = "reasoning.encrypted_content"


def encode(request: ChatRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """`/responses`; raises `Unsupported` for audio and video."""
    warnings: list[str] = []
    items: list[dict[str, Any]] = []
    body: dict[str, Any] = {"model": model, "input": items}
    if request.system:
        if quirks.system == "instructions":
            body["instructions"] = request.system
        else:
            items.append(_words(quirks.system, request.system))
    text_format = _text_format(request, quirks, items)
    _input(request.messages, quirks, items, warnings)
    if request.stream:
        body["stream"] = True
    if quirks.store is not None:
        body["store"] = quirks.store
    if quirks.include_encrypted:
        body["include"] = [_ENCRYPTED]
    if text_format is not None:
        body["text"] = {"format": text_format}
    if reasoning := _reasoning(request, quirks, warnings):
        body["reasoning"] = reasoning
    _limits(request, quirks, body, warnings)
    if request.tools:
        spelled = [_tool(tool, quirks.strict) for tool in request.tools]
        body["tools"] = [tool for tool, _ in spelled]
        warnings += [words for _, words in spelled if words]
        if request.tool_choice is not None:
            choice = request.tool_choice
            forced = choice not in ("auto", "none", "required")
            body["tool_choice"] = {"type": "function", "name": choice} if forced else choice
        if request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = request.parallel_tool_calls
    return base.HttpRequest(
        method="POST",
        path="/responses",
        json=merge(body, request.options),
        stream=request.stream,
        warnings=warnings,
    )


def _limits(request: ChatRequest, quirks: Quirks, body: dict[str, Any], warnings: list[str]) -> None:
    if request.max_tokens is not None:
        body["max_output_tokens"] = max(request.max_tokens, quirks.min_output_tokens)
        if request.max_tokens < quirks.min_output_tokens:
            warnings.append(f"max_tokens was raised to {quirks.min_output_tokens}, the least this API takes.")
    for name in _SAMPLING:
        if (value := getattr(request, name)) is not None:
            body[name] = value
    for extra in _EXTRA:
        value = getattr(request, extra)
        if value is None or value == ():
            continue
        if extra in quirks.extra:
            body[extra] = list(value) if isinstance(value, tuple) else value
        else:
            warnings.append(f"{extra} was left out: the Responses API has no such parameter.")


def _reasoning(request: ChatRequest, quirks: Quirks, warnings: list[str]) -> dict[str, Any]:
    reasoning: dict[str, Any] = {}
    effort, budget = request.effort, request.thinking_budget
    if budget is not None and budget > 0:
        if quirks.budget:
            reasoning["max_tokens"] = budget
        else:
            warnings.append("thinking_budget was left out: the Responses API has no such parameter; use effort.")
    if budget == 0 and effort is None:
        effort = "none"
    if effort is not None and "max_tokens" not in reasoning:
        if quirks.effort == "reasoning":
            reasoning["effort"] = quirks.efforts.get(effort, effort)
        elif effort != "none":
            warnings.append("effort was left out: this model has no such parameter.")
    if quirks.summary is not None and effort != "none":
        reasoning["summary"] = quirks.summary
    return reasoning


def _text_format(request: ChatRequest, quirks: Quirks, items: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What `text.format` is; where a schema cannot be enforced, words for it join the input.

    They are an item because the vendor refuses `json_object` unless the input itself (`instructions` does not count)
    holds the word JSON.
    """
    schema = request.json_schema
    if schema is None and not request.json_output:
        return None
    if schema is not None and quirks.json_schema in ("strict", "plain"):
        plain = inline_refs(schema)
        name = re.sub(r"[^A-Za-z0-9_-]", "_", str(schema.get("title", "")))[:64] or "answer"
        strict = to_strict(plain) if quirks.json_schema == "strict" else None
        if strict is not None:
            return {"type": "json_schema", "name": name, "schema": strict, "strict": True}
        if quirks.json_schema == "plain":
            return {"type": "json_schema", "name": name, "schema": plain}
    items.append(_words("system" if quirks.system == "instructions" else quirks.system, instruction(schema)))
    return None if quirks.json_schema == "none" else {"type": "json_object"}


@remembered
def _tool(tool: ToolSpec, strictness: str) -> tuple[dict[str, Any], str | None]:
    """As the body has it, and what to tell of it. Not to be changed: a later request gets the same."""
    parameters = inline_refs(tool.parameters)
    parameters.setdefault("type", "object")
    parameters.setdefault("properties", {})
    spec: dict[str, Any] = {"type": "function", "name": tool.name, "parameters": parameters}
    if tool.description:
        spec["description"] = tool.description
    if strictness == "omit":
        return spec, None
    strict = warning = None
    if strictness == "auto" and tool.strict is not False:
        # Unless asked for, not where it would make the model send nulls that the tool does not expect.
        strict = to_strict(parameters, nulls=tool.strict is True)
        if strict is None and tool.strict:
            warning = f"The tool {tool.name} is not strict: its parameters have no strict form."
    if strict is not None:
        spec["parameters"] = strict
    spec["strict"] = strict is not None
    return spec, warning


# Input items


def _words(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}


def _input(messages: tuple[Message, ...], quirks: Quirks, items: list[dict[str, Any]], warnings: list[str]) -> None:
    custom: set[str] = set()
    for message in messages:
        if message.role == "assistant":
            items.extend(_output_items(message, custom, warnings))
        else:
            items.extend(_user_items(message, custom, quirks))


def _user_items(message: Message, custom: set[str], quirks: Quirks) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            shown = part.parts
            if not quirks.media_results and any(isinstance(piece, Media) for piece in shown):
                shown = tuple(piece for piece in shown if isinstance(piece, Text))
                content.append({"type": "input_text", "text": f"What the tool {part.name} returned:"})
                content.extend(_content(piece) for piece in part.parts if isinstance(piece, Media))
            whole = all(isinstance(piece, Text) for piece in shown)
            kind = "custom_tool_call_output" if part.id in custom else "function_call_output"
            output = part.text if whole else [_content(piece) for piece in shown]
            items.append({"type": kind, "call_id": part.id, "output": output})
        else:
            content.append(_content(part))
    if content:
        # After all results of the turn: calls and their outputs have to stay together.
        items.append({"type": "message", "role": "user", "content": content})
    return items


def _content(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    if not isinstance(part, Media):
        raise Unsupported(f"A part of type {part.type} cannot stand in a user's message.")
    if part.data is None and part.url is None:
        raise Unsupported("Media need data or a url.")
    source = part.url if part.data is None else f"data:{part.mime};base64,{part.data}"
    if part.modality == "image":
        return {"type": "input_image", "detail": "auto", "image_url": source}
    if part.modality in ("audio", "video"):
        raise Unsupported(
            f"The Responses API takes no {part.modality}. Transcribe it first, or ask a model of another provider."
        )
    if part.data is None:
        return {"type": "input_file", "file_url": source}
    name = part.name or ("document.pdf" if part.modality == "pdf" else "document")
    return {"type": "input_file", "filename": name, "file_data": source}


def _output_items(message: Message, custom: set[str], warnings: list[str]) -> list[dict[str, Any]]:
    """An assistant's turn as input items: recorded ones as they were, others in the short form for history."""
    items: list[dict[str, Any]] = []
    spoken: dict[str, Any] | None = None  # the message item that texts still go into
    recorded = False
    for part in message.parts:
        echo: Echo = getattr(part, "echo", None) or {}
        if "part" in echo:
            piece = {**echo["part"], "text": part.text} if isinstance(part, Text) else echo["part"]
            if "item" in echo or spoken is None or not recorded:
                spoken = {**echo.get("item", {"type": "message", "role": "assistant"}), "content": []}
                recorded = True
                items.append(spoken)
            spoken["content"].append(piece)
            continue
        if isinstance(part, Text) and not echo:
            if spoken is None or recorded:
                spoken, recorded = _words("assistant", ""), False
                items.append(spoken)
            spoken["content"] += part.text
            continue
        spoken = None
        if isinstance(part, ToolCall):
            items.append(_call(part, echo, custom))
        elif "item" in echo:
            items.append({**echo["item"], "result": part.data} if isinstance(part, Media) else echo["item"])
        elif isinstance(part, Media):
            warnings.append("Media made by a model cannot be shown to this one as its own; they were left out.")
        elif isinstance(part, Opaque):
            warnings.append("A part that only another API understands was left out of the history.")
    return [item for item in items if item.get("content") != ""]


def _call(call: ToolCall, echo: Echo, custom: set[str]) -> dict[str, Any]:
    item: dict[str, Any] = echo.get("item", {"type": "function_call"})
    if item["type"] == "custom_tool_call":
        custom.add(call.id)
        return {**item, "call_id": call.id, "name": call.name, "input": call.arguments}
    arguments = call.arguments if echo else as_text(call.arguments)
    return {**item, "call_id": call.id, "name": call.name, "arguments": arguments}
