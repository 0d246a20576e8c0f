"""Google's generateContent dialect (Gemini API, Vertex, express mode): the request, parts mapped one to one.

What a reply means is `decoder.py`. No files are uploaded and no cache is made here; `fileData` takes URLs as is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mcp_llm.errors import InvalidInput
from mcp_llm.types.remembered import remembered
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.effort import nearest
from mcp_llm.wires.schema import instruction, to_plain

from .openapi import to_openapi
from .parts import contents

if TYPE_CHECKING:
    from mcp_llm.types.chat import ChatRequest, ToolSpec

    from .quirks import Place, Quirks

MAX_STOPS: Final = 5
_BUDGETS: Final = {"minimal": 512, "low": 1024, "medium": 8192, "high": 24576}
"""Tokens for an effort, as Google's own OpenAI-compatible endpoint maps them (minimal is ours)."""
_SAMPLING: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "max_tokens": "maxOutputTokens",
}


def encode(request: ChatRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """`:streamGenerateContent?alt=sse` or `:generateContent`; raises `Unsupported` for media it cannot spell."""
    warnings: list[str] = []
    return base.HttpRequest(
        method="POST",
        path=request_path(model, "streamGenerateContent" if request.stream else "generateContent", quirks),
        json=merge(request_body(request, quirks, warnings), request.options),
        query={"alt": "sse"} if request.stream else {},
        stream=request.stream,
        warnings=warnings,
    )


def request_path(model: str, method: str, quirks: Place) -> str:
    """The path of a method of a model; `models/` in front of the id is taken off."""
    return quirks.path.format(
        version=quirks.version, model=quote(model.removeprefix("models/"), safe=""), method=method
    )


def request_body(request: ChatRequest, quirks: Quirks, warnings: list[str]) -> dict[str, Any]:
    """The body without the caller's own options; what is left out is told in `warnings`."""
    system = [request.system] if request.system else []
    config = {name: value for key, name in _SAMPLING.items() if (value := getattr(request, key)) is not None}
    if request.stop:
        if len(request.stop) > MAX_STOPS:
            warnings.append(f"Only {MAX_STOPS} stop sequences are possible here; the others were left out.")
        config["stopSequences"] = list(request.stop[:MAX_STOPS])
    if request.json_output or request.json_schema is not None:
        in_words = quirks.json_mode == "none" or (bool(request.tools) and not quirks.json_with_tools)
        if in_words:
            system.append(instruction(request.json_schema))
        else:
            config["responseMimeType"] = "application/json"
            if request.json_schema is not None:
                if quirks.json_mode == "json_schema":
                    config["responseJsonSchema"] = to_plain(request.json_schema)
                else:
                    config["responseSchema"] = to_openapi(request.json_schema)
    if thinking := _thinking(request, quirks, warnings):
        config["thinkingConfig"] = thinking
    turns = contents(request.messages, quirks)
    if not turns:
        raise InvalidInput("There is nothing to send: every message is empty. Add a user message with words in it.")
    body: dict[str, Any] = {"contents": turns}
    if system:
        words = "\n\n".join(system)
        if quirks.system:
            body["systemInstruction"] = {"parts": [{"text": words}]}
        elif turns[0]["role"] == "user":
            turns[0]["parts"].insert(0, {"text": words})
        else:
            turns.insert(0, {"role": "user", "parts": [{"text": words}]})
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool, quirks.tool_schema) for tool in request.tools]}]
        if calling := _calling(request, quirks):
            body["toolConfig"] = {"functionCallingConfig": calling}
        if request.parallel_tool_calls is False:
            warnings.append("Parallel tool calls cannot be switched off here; the model may make several at once.")
    if config:
        body["generationConfig"] = config
    return body


@remembered
def _declaration(tool: ToolSpec, spelling: str) -> dict[str, Any]:
    """Not to be changed: a later request gets the same."""
    declaration: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declaration["description"] = tool.description
    # An object without properties is refused in the OpenAPI spelling and says nothing in the other.
    if tool.parameters.get("properties") or tool.parameters.keys() - {"type", "properties", "required", "title"}:
        if spelling == "json_schema":
            declaration["parametersJsonSchema"] = to_plain(tool.parameters)
        else:
            declaration["parameters"] = to_openapi(tool.parameters)
    return declaration


def _calling(request: ChatRequest, quirks: Quirks) -> dict[str, Any]:
    calling: dict[str, Any] = {}
    match request.tool_choice:
        case None:
            pass
        case "auto" | "none":
            calling["mode"] = request.tool_choice.upper()
        case "required":
            calling["mode"] = "ANY"
        case name:
            calling.update(mode="ANY", allowedFunctionNames=[name])
    if quirks.stream_arguments and request.stream:
        calling["streamFunctionCallArguments"] = True
    return calling


def _thinking(request: ChatRequest, quirks: Quirks, warnings: list[str]) -> dict[str, Any]:
    effort, budget = request.effort, request.thinking_budget
    config: dict[str, Any] = {}
    if quirks.thinking == "none":
        if effort not in (None, "none") or budget not in (None, 0):
            warnings.append("This model does not think; the reasoning effort was left out.")
        return config
    if quirks.thinking == "level":
        if budget is not None:
            warnings.append("This model takes a thinking level and no token budget; the budget was turned into one.")
            if effort is None and budget >= 0:
                effort = next(
                    (name for name in ("none", "minimal", "low", "medium") if budget <= _tokens(name)), "high"
                )
        if effort is not None:
            level = nearest(effort, quirks.levels)
            if level != effort:
                warnings.append(f"This model has no thinking level {effort!r}; {level!r} was sent.")
            config["thinkingLevel"] = level
    elif effort is not None or budget is not None:
        wanted = budget if budget is not None else _tokens(effort or "none", quirks.budget_max)
        sent = wanted if wanted == -1 else min(max(wanted, quirks.budget_min), quirks.budget_max)
        if sent != wanted:
            warnings.append(
                f"The thinking budget of this model begins at {quirks.budget_min} and ends at "
                f"{quirks.budget_max} tokens; {sent} was sent."
            )
        config["thinkingBudget"] = sent
    if quirks.include_thoughts and config.get("thinkingBudget") != 0:
        config["includeThoughts"] = True
    return config


def _tokens(effort: str, most: int = 24576) -> int:
    return 0 if effort == "none" else _BUDGETS.get(effort, most)
