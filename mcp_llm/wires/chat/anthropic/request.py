"""Anthropic's Messages dialect (its API, Vertex, Foundry, Bedrock's `mantle`, compatible servers): the request.

What a reply means is `decoder.py`, how messages are spelled `blocks.py`. No files are uploaded;
`cache_control` and server tools go through the caller's `options`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mcp_llm.errors import InvalidInput, Unsupported
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.schema import inline_refs, instruction, to_closed

from .blocks import turns
from .decoder import JSON_TOOL

if TYPE_CHECKING:
    from mcp_llm.types.chat import ChatRequest, Effort, ToolSpec

    from .quirks import Quirks

BUDGETS: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32768}
"""Thinking tokens for an effort, where the model takes a budget."""
MIN_BUDGET: Final = 1024
_MAX_STRICT: Final = 20
_SAMPLING: Final = ("temperature", "top_p", "top_k")


def encode(request: ChatRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """`POST /v1/messages`; `betas` in the options becomes the header `anthropic-beta`.

    Raises `Unsupported` for media it cannot spell, `InvalidInput` where no message has content.
    """
    warnings: list[str] = []
    body = request_body(request, quirks, warnings)
    if not quirks.version_in_body:
        body["model"] = model
    if request.stream:
        body["stream"] = True
    body = merge(body, request.options)
    template = quirks.stream_path if request.stream and quirks.stream_path else quirks.path
    return base.HttpRequest(
        method="POST",
        path=template.format(model=quote(model, safe="@")),
        json=body,
        headers=stamp(body, quirks),
        stream=request.stream,
        warnings=warnings,
    )


def stamp(body: dict[str, Any], quirks: Quirks) -> dict[str, str]:
    """Puts version and betas where this front door wants them: into the body, or into the headers given back.

    Raises `InvalidInput` for `betas` that are no names.
    """
    version = quirks.version
    if quirks.sampling_version is not None and any(key in body for key in _SAMPLING):
        version = quirks.sampling_version
    betas = body.pop("betas", None) or []
    betas = [betas] if isinstance(betas, str) else betas
    if not isinstance(betas, list | tuple) or not all(isinstance(one, str) for one in betas):
        raise InvalidInput("`betas` in the options has to be a name or a list of names.")
    if quirks.version_in_body:
        body.update({"anthropic_version": version} | ({"anthropic_beta": betas} if betas else {}))
        return {}
    headers = {"anthropic-version": version} if version else {}
    return headers | ({"anthropic-beta": ",".join(betas)} if betas else {})


def request_body(request: ChatRequest, quirks: Quirks, warnings: list[str]) -> dict[str, Any]:
    """The body without model, `stream` and the caller's own options; what is left out is told in `warnings`."""
    messages = turns(request.messages, quirks, warnings)
    if not messages:
        raise InvalidInput("There is nothing to send: every message is empty. Add a user message with words in it.")
    system = [request.system] if request.system and request.system.strip() else []
    body: dict[str, Any] = {"messages": messages}
    config: dict[str, Any] = {}
    forced = _tools(request, quirks, body, system, warnings)
    if request.json_output or request.json_schema is not None:
        forced |= _json(request.json_schema, quirks, body, config, system, warnings)
    thinking, effort, body["max_tokens"] = _steer(request, quirks, forced=forced, warnings=warnings)
    if thinking is not None:
        body["thinking"] = thinking
    if effort is not None:
        config["effort"] = effort
    if config:
        body["output_config"] = config
    _sampling(request, quirks, body, warnings)
    if stops := [word for word in request.stop if word.strip()]:
        body["stop_sequences"] = stops
    if len(stops) < len(request.stop):
        warnings.append("Stop sequences of nothing but white space are refused here; they were left out.")
    warnings += [
        f"`{name}` does not exist here; it was left out."
        for name in ("seed", "presence_penalty", "frequency_penalty")
        if getattr(request, name) is not None
    ]
    if system:
        body["system"] = "\n\n".join(system)
    return body


def _tools(request: ChatRequest, quirks: Quirks, body: dict[str, Any], system: list[str], warnings: list[str]) -> bool:
    """Puts tools and choice into the body; True when a tool is forced."""
    if not request.tools:
        return False
    body["tools"] = [_tool(tool, quirks, warnings) for tool in request.tools]
    strict = [tool for tool in body["tools"] if "strict" in tool]
    if len(strict) > _MAX_STRICT:
        warnings.append(f"Only {_MAX_STRICT} tools may be strict here; the others are not enforced.")
        for tool in strict[_MAX_STRICT:]:
            del tool["strict"]
    choice: dict[str, Any] = {}
    forced = False
    match request.tool_choice:
        case None:
            pass
        case "auto" | "none":
            choice["type"] = request.tool_choice
        case name if not quirks.forced_tools:
            wanted = "one of the tools" if name == "required" else f"the tool `{name}`"
            system.append(f"Answer by calling {wanted}.")
            warnings.append("A tool cannot be forced on this model; it was asked for in words.")
            choice["type"] = "auto"
        case "required":
            choice["type"] = "any"
            forced = True
        case name:
            choice.update(type="tool", name=name)
            forced = True
    if request.parallel_tool_calls is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    if choice:
        body["tool_choice"] = choice
    return forced


def _tool(spec: ToolSpec, quirks: Quirks, warnings: list[str]) -> dict[str, Any]:
    tool: dict[str, Any] = {"name": spec.name}
    if spec.description:
        tool["description"] = spec.description
    if spec.strict and quirks.strict_tools:
        try:
            return {**tool, "input_schema": to_closed(spec.parameters), "strict": True}
        except Unsupported as exc:
            warnings.append(f"The tool `{spec.name}` is not strict here: {exc}")
    # The root has to say that it is an object by itself.
    schema = inline_refs(spec.parameters) if "$ref" in spec.parameters else spec.parameters
    tool["input_schema"] = schema if "type" in schema else {"type": "object", **schema}
    return tool


def _json(
    schema: dict[str, Any] | None,
    quirks: Quirks,
    body: dict[str, Any],
    config: dict[str, Any],
    system: list[str],
    warnings: list[str],
) -> bool:
    """Asks for JSON as natively as can be; True when that forces a tool."""
    if schema is not None and quirks.json_mode == "schema":
        try:
            config["format"] = {"type": "json_schema", "schema": to_closed(schema)}
        except Unsupported as exc:
            warnings.append(f"The JSON Schema is asked for in words, not enforced: {exc}")
        else:
            return False
    elif schema is not None and quirks.json_mode == "tool" and "tools" not in body and schema.get("type") == "object":
        body["tools"] = [
            {"name": JSON_TOOL, "description": "Gives the answer as JSON.", "input_schema": inline_refs(schema)}
        ]
        if quirks.forced_tools:
            body["tool_choice"] = {"type": "tool", "name": JSON_TOOL}
            return True
        system.append(f"Answer by calling the tool `{JSON_TOOL}`.")
        return False
    system.append(instruction(schema))
    return False


def _steer(
    request: ChatRequest, quirks: Quirks, *, forced: bool, warnings: list[str]
) -> tuple[dict[str, Any] | None, str | None, int]:
    """(`thinking`, `output_config.effort`, `max_tokens`) for the request's effort and budget."""
    budget = request.thinking_budget
    effort: Effort | None = None if request.effort == "none" else request.effort
    room = request.max_tokens if request.max_tokens is not None else quirks.default_max_tokens
    off = budget == 0 or (budget is None and request.effort == "none")
    asked = off or budget is not None or effort is not None
    if effort == "minimal" and quirks.effort:
        warnings.append("The lowest effort here is 'low'; it was sent.")
        effort = "low"
    if off:
        thinking, effort = _off(quirks, effort, forced=forced, warnings=warnings)
    elif quirks.thinking == "none":
        thinking = None
        if budget is not None or (effort is not None and not quirks.effort):
            warnings.append("This model does not think; the reasoning effort was left out.")
    elif forced:
        # Calls cannot be forced while the model thinks; without the field it does not.
        thinking = None
        if asked:
            warnings.append("Thinking is off where a tool is forced.")
    elif asked and (quirks.thinking == "budget" or (quirks.thinking == "both" and (budget or 0) > 0)):
        thinking, room = _enabled(request, quirks, warnings)
    elif asked or (quirks.thinking_default and quirks.display and quirks.thinking != "budget"):
        thinking = {"type": "adaptive", **_display(quirks)}
        if budget is not None and budget > 0:
            warnings.append("This model takes an effort and no token budget; the budget was turned into one.")
            effort = effort or ("low" if budget <= BUDGETS["low"] else "medium" if budget <= 8192 else "high")
    else:
        thinking = None
    return thinking, effort if quirks.effort else None, room


def _off(
    quirks: Quirks, effort: Effort | None, *, forced: bool, warnings: list[str]
) -> tuple[dict[str, Any] | None, Effort | None]:
    if quirks.thinking == "none":
        return None, effort
    if quirks.thinking_off is None:
        if forced:
            return None, effort
        warnings.append("Thinking cannot be turned off on this model; the lowest effort was sent.")
        return ({"type": "adaptive", **_display(quirks)} if quirks.display else None), "low"
    if effort in ("xhigh", "max"):
        warnings.append(f"Without thinking the effort ends at 'high'; {effort!r} was lowered.")
        effort = "high"
    return {"type": quirks.thinking_off}, effort


def _enabled(request: ChatRequest, quirks: Quirks, warnings: list[str]) -> tuple[dict[str, Any] | None, int]:
    """`enabled` with a budget that leaves room for the answer, and the `max_tokens` for both."""
    budget = request.thinking_budget
    if budget is None or budget < 0:
        budget = BUDGETS.get(request.effort or "", BUDGETS["medium"])
    room = request.max_tokens
    if room is None:
        room = min(quirks.default_max_tokens + budget, quirks.max_output or sys.maxsize)
    if room <= MIN_BUDGET:
        warnings.append(f"Thinking needs `max_tokens` above {MIN_BUDGET}; it was left out.")
        return None, room
    fitting = min(max(budget, MIN_BUDGET), max(room - MIN_BUDGET, MIN_BUDGET))
    if request.thinking_budget not in (None, -1, fitting):
        warnings.append(f"The thinking budget has to be from {MIN_BUDGET} to below `max_tokens`; {fitting} was sent.")
    return {"type": "enabled", "budget_tokens": fitting, **_display(quirks)}, room


def _display(quirks: Quirks) -> dict[str, str]:
    return {"display": quirks.display} if quirks.display else {}


def _sampling(request: ChatRequest, quirks: Quirks, body: dict[str, Any], warnings: list[str]) -> None:
    thinks = body.get("thinking", {}).get("type") in ("adaptive", "enabled")
    for name in _SAMPLING:
        if (value := getattr(request, name)) is None:
            continue
        if quirks.sampling_version is None:
            warnings.append(f"`{name}` is refused by this model; it was left out.")
        elif thinks and not (name == "temperature" and value == 1) and not (name == "top_p" and value >= 0.95):
            warnings.append(f"`{name}` does not go with thinking here; it was left out.")
        else:
            body[name] = value
